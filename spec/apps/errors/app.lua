-- app.lua - handlers that fail, on_error and on_status; errors_spec.lua knows what comes of each.
--
-- Failing handlers are there plain at /NAME and as blocking ones at /blocking/NAME, at the top, in
-- a group with error handlers of its own and in a mounted app.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app { name = "errors", pools = { tiny = { threads = 1, queue = 1 } } }

local function both(recorder, path, fn)
  recorder:get(path, fn)
  recorder:get("/blocking" .. path, perilune.blocking(fn))
end

local Custom = { __index = { kind = "inherited" } }

local failing = {
  text = function() error "some text" end,
  own = function() error { kind = "own", code = 7 } end,
  inherited = function() error(setmetatable({}, Custom)) end,
  other = function() error { kind = "other" } end,
  quiet = function() error { kind = "quiet" } end,
  fails = function() error { kind = "fails" } end,
  fails_table = function() error { kind = "fails_table" } end,
  wrong = function() error { kind = "wrong" } end,
  aborts = function() error { kind = "aborts" } end,
  waits = function() error { kind = "waits" } end,
  blocks = function() error { kind = "blocks", list = { 1, 2 } } end,
  object = function() error { kind = "object" } end,
  fine = function() error { kind = "fine" } end,
  text_answer = function() error { kind = "text_answer" } end,
  stream = function() error { kind = "stream" } end,
  result = function() return nil end,
  json = function() return { "\255" } end,
  abort = function() perilune.abort(409, "mine") end,
  deep = function()
    local function level(n)
      if n == 0 then error { kind = "own", code = "deep" } end
      return (level(n - 1))
    end
    level(3)
  end,
}

for name, fn in pairs(failing) do both(app, "/" .. name, fn) end

app:on_error("own", function(req, err)
  return 418, { kind = err.kind, code = err.code, path = req.path }
end)
app:on_error("inherited", function(_, err) return 500, err.kind or "lost" end)
app:on_error("quiet", function() end)
app:on_error("fails", function() error "on_error itself" end)
app:on_error("fails_table", function() error { kind = "own" } end)
app:on_error("wrong", function() return nil end)
app:on_error("aborts", function() perilune.abort(410, "gone") end)
app:on_error("waits", function()
  async.sleep(0.001)
  return 500, "waited"
end)
app:on_error("blocks", perilune.blocking(function(req, err)
  return 500, { path = req.path, kind = err.kind, list = err.list }
end))
app:on_error("object", function(_, err)
  return perilune.response { json = { err.kind }, headers = { ["X-Kind"] = err.kind } }
end)
app:on_error("fine", function() return perilune.response { status = 200, body = "all is well" } end)
app:on_error("text_answer", function() return "sorry" end)
app:on_error("stream", function()
  return perilune.stream({ status = 502 }, function(write) write "streamed" end)
end)
app:on_error(function(_, err) return 500, "caught " .. tostring(err):gsub("^.-:%d+: ", "") end)

app:group("/group", function(g)
  g:on_error("own", function(_, err) return 500, "group " .. err.code end)
  for name, fn in pairs(failing) do both(g, "/" .. name, fn) end
  g:group("/inner", function(inner)
    inner:on_error("other", function() return 500, "inner other" end)
    for name, fn in pairs(failing) do both(inner, "/" .. name, fn) end
  end)
end)

local mounted = perilune.app { name = "mounted" }
mounted:on_error(function(_, err) return 500, "mounted " .. tostring(err.kind) end)
mounted:get("/own", failing.own)
mounted:on_status(404, function() return "never asked" end)
app:mount("/mounted", mounted)

--- Errors of middleware are for the error handlers around it.
app:group("/layers", function(g)
  g:on_error(function() return 500, "of the group" end)
  g:group("/outer", { middleware = { function() error { kind = "other" } end } }, function(outer)
    outer:on_error(function() return 500, "of the inner group" end)
    outer:get("/group", function() return "never" end)
  end)
  g:group("/own", function(own)
    own:use(function() error { kind = "other" } end)
    own:on_error(function() return 500, "of the inner group" end)
    own:get("", function() return "never" end)
  end)
  g:get("/error", { middleware = { function(_, proceed)
    local res = proceed()
    return res:header("X-Error", tostring(res.error.kind))
  end } }, failing.other)
end)

app:mount("/throwing", (function()
  local router = perilune.router {}
  router:on_error(function() return "not asked for aborts" end)
  router:get("/abort", failing.abort)
  router:get("/redirect", function() return perilune.redirect "/x" end)
  return router
end)())

--- Holds the one thread of the pool while a file is there, so that the queue fills up.
local hold = perilune.blocking({ pool = "tiny" }, function(path)
  log.info "holding"
  while true do
    local file = io.open(path)
    if not file then return end
    file:close()
    async.sleep(0.001)
  end
end)
app:get("/full", perilune.blocking({ pool = "tiny" }, function() return "ran" end))
app:get("/hold", function(req)
  log.info "queueing"
  hold(req.query.path)
  return "held"
end)

app:get("/full/plain", function() return hold "" end)
app:group("/full/known", function(g)
  g:on_error("full", function(_, err) return 503, "known: " .. err.kind end)
  g:get("", perilune.blocking({ pool = "tiny" }, function() return "ran" end))
end)

app:post("/small", { max_body = 3 }, function(req) return req.body end)
app:get("/own404", function() return 404, "my own" end)

app:on_status(404, function(req) return { missing = req.path, method = req.method } end)
app:on_status(405, function(req) return "not " .. req.method end)
app:on_status(413, function(req)
  return perilune.response { body = "too much for " .. req.path, headers = { ["X-A"] = "b" } }
end)
app:on_status(417, function() return 400, "expected" end)
app:on_status(400, function(req)
  return { req.method, req.path, req.host, #req.body, req.id ~= "", req.route }
end)
app:on_status(431, function() error "on_status itself" end)
app:on_status(414, function() end)
app:on_status(501, function() perilune.abort(502, "aborted") end)
app:on_status(505, perilune.blocking(function(req) return "blocking " .. req.method end))
app:on_status(503, function() return "full house" end)
app:on_status(408, function(req)
  async.sleep(0.001)
  return "slow " .. req.path
end)

return app
