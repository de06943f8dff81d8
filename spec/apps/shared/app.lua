-- app.lua - shared tables used from every place; the two shared_spec.lua ask it.
--
-- /plain/cases/NAME, /blocking/cases/NAME, /background/cases/NAME run a case: 200 if all is well,
-- else 500 and what it said. The others work on one table from several workers and threads at once.

local perilune = require "perilune"
local async = require "perilune.async"
local shared = require "perilune.shared"

local cases = require "cases"
local word = require "word"

local app = perilune.app { name = "shared" }
local hits = shared "hits"

local function run_case(req)
  local ok, err = xpcall(cases[req.params.name], debug.traceback)
  if not ok then return 500, tostring(err) end
  return "went well"
end

app:get("/plain/cases/{name}", run_case)
app:get("/blocking/cases/{name}", perilune.blocking(run_case))
app:get("/background/cases/{name}", perilune.background("cases", run_case))

--- Counts n times; the answer says which state did it.
local function count(req)
  local by = math.tointeger(tonumber(req.query.n or 1))
  for _ = 1, by do hits:incr "count" end
  hits:update("list", function(list)
    list = list or {}
    list[#list + 1] = by
    return list
  end)
  return { count = hits:get "count" }
end

app:get("/count", count)
app:get("/count_blocking", perilune.blocking(count))
app:get("/count_background", perilune.background("counter", count))
app:get("/hits", function() return { count = hits:get "count", list = hits:get "list" } end)

app:get("/wait/{key}", function(req)
  hits:incr("waiting:" .. req.params.key)
  return { value = hits:wait(req.params.key, 30) }
end)
app:get("/wait_blocking/{key}", perilune.blocking(function(req)
  hits:incr("waiting:" .. req.params.key)
  return { value = hits:wait(req.params.key, 30) }
end))
app:get("/set/{key}/{value}", function(req)
  hits:set(req.params.key, req.params.value)
  return 204
end)
app:get("/get/{key}", function(req) return { value = hits:get(req.params.key) } end)

--- A value whose class is in a module that only this state has loaded so far.
app:get("/word", function()
  hits:set("word", word.new "hello")
  return hits:get("word"):shout()
end)
app:get("/late", perilune.blocking(function()
  hits:set("late", require "late".new "hello")
  return hits:get("late"):shout()
end))
app:get("/late_here", function()
  assert(package.loaded.late == nil)
  return hits:update("late", function(value)
    value.text = value.text .. "!"
    return value
  end):shout()
end)

app:get("/fill", function()
  local ok, err = pcall(function()
    for i = 1, 1000000 do hits:set("fill" .. i, ("x"):rep(1000)) end
  end)
  for _, key in ipairs(hits:keys()) do
    if tostring(key):find "^fill" then hits:delete(key) end
  end
  return { ok = ok, kind = not ok and err.kind, message = not ok and err.message or nil }
end)

--- The handle as an upvalue of a closure, and as an argument.
app:get("/sent", function()
  local mine = shared "sent"
  async.run_blocking(function() mine:incr("upvalue", 2) end)
  async.run_blocking(function(other, make) other:incr "argument" make "sent":incr "argument" end,
    mine, shared)
  return { upvalue = mine:get "upvalue", argument = mine:get "argument" }
end)

app:on_start(function() hits:set("started", true) end)

return app
