-- app.lua - middleware of every kind and place; middleware_spec.lua knows what comes of each.
--
-- `note` writes the order of things into the response's header X-Order; routes are there plain and,
-- at /blocking/..., as blocking handlers.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "middleware" }

local function order(req) return req:once("order", function() return {} end) end

local function note(word)
  return function(req, proceed)
    local words = order(req)
    words[#words + 1] = "+" .. word
    local res = proceed()
    words[#words + 1] = "-" .. word
    return res:header("X-Order", table.concat(words, " "))
  end
end

--- Both colours of a route.
local function both(recorder, path, options, fn)
  recorder:get(path, options, fn)
  recorder:get("/blocking" .. path, options, perilune.blocking(fn))
end

app:group("/order", function(g)
  g:use(note "group1")
  local router = perilune.router { prefix = "/router", middleware = { note "router1" } }
  g:mount("/mount", { middleware = { note "mount" } }, router)
  both(router, "/route", { middleware = { note "route1", note "route2" } }, function()
    return "here"
  end)
  router:use(note "router2")
  g:use(note "group2")
  g:get("/plain", function() return "plain" end)
end)

local kept = perilune.response { status = 201, body = "kept", headers = { ["X-Kept"] = { "1" } } }

local handlers = {
  text = function() return "text" end,
  table = function() return { a = 1 } end,
  status = function() return 202 end,
  nothing = function() end,
  several = function() return 201, "made", { ["X-Several"] = { "1", "2" } } end,
  object = function()
    return perilune.response { json = { b = 2 }, headers = { ["X-Own"] = "1" } }
  end,
  kept = function() return kept end,
  html = function() return perilune.html "<p>" end,
  redirect = function() return perilune.redirect "/there" end,
  abort = function() perilune.abort(403, "not yours", { ["X-Why"] = "because" }) end,
  error = function() error "oops" end,
  error_table = function() error { kind = "own", code = 7 } end,
  wrong = function() return nil end,
  wrong_json = function() return { deep = { "\255" } } end,
  stream = function()
    return perilune.stream(function(write)
      write "one,"
      write "two"
    end)
  end,
}

--- Tells what proceed() gave in headers of the response.
local function describe(_, proceed)
  local res = proceed()
  res:header("X-Status", res.status):header("X-Body", tostring(res.body))
  res:header("X-Type", tostring(res.headers["Content-Type"]))
  res:header("X-Error", tostring(res.error):gsub("\n.*", ""))
  res:add_header("X-Kept", "2")
  return res
end

app:group("/seen", { middleware = { describe } }, function(g)
  for name, fn in pairs(handlers) do both(g, "/" .. name, {}, fn) end
end)

local count = 0

local answers = {
  own = function() return 403, "not below" end,
  own_object = function() return perilune.response { json = { own = true } } end,
  own_abort = function() perilune.abort(401, "who?") end,
  own_error = function() error "middleware oops" end,
  own_wrong = function() return true end,
  own_nothing = function() end,
  forgets = function(_, proceed) proceed():header("x-forgot", "return") end,
  replaces = function(_, proceed)
    proceed()
    return 200, "replaced"
  end,
  changes = function(_, proceed)
    local res = proceed()
    res.status, res.body = 299, "changed " .. res.body
    return res
  end,
  breaks = function(_, proceed)
    local res = proceed()
    res.headers["X-Bad"] = "a\r\nb"
    return res
  end,
  breaks_status = function(_, proceed)
    local res = proceed()
    res.status = 99
    return res
  end,
  fails_after = function(_, proceed)
    proceed()
    error "after"
  end,
  twice = function(_, proceed)
    proceed()
    local res = proceed()
    return res
  end,
  catches = function(_, proceed)
    local ok, err = pcall(function()
      proceed()
      return proceed()
    end)
    return { ok, (tostring(err):gsub("^.-:%d+: ", "")) }
  end,
  waits = function(_, proceed)
    async.sleep(0.001)
    local res = proceed()
    async.sleep(0.001)
    return res
  end,
  in_child = function(_, proceed)
    local res = async.gather(proceed)
    return res:header("x-child", "1")
  end,
  leaves = function(_, proceed)
    async.spawn(proceed)
    async.checkpoint()
    return nil
  end,
}

for name, fn in pairs(answers) do
  app:get("/answer/" .. name, { middleware = { fn } }, function()
    count = count + 1
    return "below"
  end)
end

app:get("/answer/count", function() return tostring(count) end)

local leaked
app:get("/leak", { middleware = { function(_, proceed)
  leaked = proceed
  return proceed()
end } }, function() return "leaked" end)
app:get("/leaked", function()
  local ok, err = pcall(leaked)
  return { ok, (tostring(err):gsub("^.-:%d+: ", "")) }
end)
app:get("/unfinished", { middleware = { function(_, proceed)
  async.spawn(proceed)
  async.checkpoint()
end } }, function()
  async.sleep(0.05)
  return "late"
end)

app:group("/guarded", function(g)
  g:use(perilune.blocking(function(req)
    if req.query.key ~= "right" then return 401, { detail = "no key" } end
  end))
  g:use(note "behind")
  g:get("", function() return "open" end)
  g:post("", perilune.blocking(function(req) return req.body end))
end)

app:get("/guarded/fails", { middleware = {
  perilune.blocking(function() error "blocked" end),
} }, function() return "not reached" end)

app:get("/guarded/aborts", { middleware = {
  perilune.blocking(function() perilune.abort(402, "pay") end),
} }, function() return "not reached" end)

app:get("/timeout", { timeout = 0.05, middleware = { function(_, proceed)
  local ok, err = pcall(proceed)
  require "perilune.log".info("passed", { kind = tostring(not ok and err.kind) })
  return 200, "swallowed"
end } }, function() async.sleep(10) end)

--- Tasks learn what became of the whole chain.
local told = {}

app:group("/tasks", function(g)
  g:use(function(req, proceed)
    req.tasks.after_route:schedule(function() told[#told + 1] = "route" end)
    req.tasks.after_response:schedule(function() told[#told + 1] = "response" end)
    local res = proceed()
    async.sleep(0.001)
    told[#told + 1] = "returned " .. res.status
    if req.query.mend then return 200, "mended" end
    return res
  end)
  g:get("/good", function() return "good" end)
  g:get("/fail", function() error "oops" end)
  g:get("/abort", function() perilune.abort(404) end)
  g:get("/see_other", function() perilune.abort(303, "there", { Location = "/" }) end)
end)

app:get("/told", function()
  local list = told
  told = {}
  return require "perilune.json".array(list)
end)

app:get("/delivered", { middleware = { describe } }, function(req)
  local res = perilune.response { body = "x" }
  req.tasks.after_response:schedule(function() told[#told + 1] = tostring(res.delivered) end)
  return res
end)

return app
