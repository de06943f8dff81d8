-- app.lua - what perilune.context holds in the places that context_spec.lua looks at.
--
-- A handler answers with what it has seen; app.seen has what tasks have seen after the response.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local context = perilune.context
local app = perilune.app { name = "context" }

app.seen = {}
app.at_load = { pcall(function() context.early = true end) }

app:use(function(req, proceed)
  if req.query.user then req.context.user = req.query.user end
  return proceed()
end)

local function tell()
  local told = {}
  for key, value in pairs(context) do told[key] = value end
  return told
end

local function tell_and_write()
  local told = tell()
  context.user = "overwritten"
  return told
end

local blocking_tell = perilune.blocking(tell_and_write)

local blocking_children = perilune.blocking(function()
  context.layer = "pool"
  local inner = async.spawn(tell_and_write):wait()
  return { inner = inner, outer = tell() }
end)

app:get("/middleware", function(req)
  return { user = context.user, same = req.context == context, pairs = tell(), id = req.id }
end)

app:get("/children", function()
  context.user, context.shared = "ann", { 1 }
  local children = async.settle(tell_and_write, blocking_tell, { async.spawn, tell_and_write })
  local spawned = async.spawn(tell)
  context.user = "after the spawn"
  context.shared[1] = 2
  return {
    child = children[1].value, pool = children[2].value, grandchild = children[3].value:wait(),
    spawned = spawned:wait(), mine = context.user,
  }
end)

app:get("/nested", function()
  context.user = "ann"
  local seen = blocking_children()
  seen.mine = tell()
  return seen
end)

app:get("/blocking", perilune.blocking(function(req)
  local before = req.context.user
  req.context.user = "pool"
  return { before = before, after = context.user, id = context.request_id }
end))

app:get("/tasks", function(req)
  local tasks = req.tasks
  context.user = "at schedule"
  app.seen = {
    tasks:schedule(tell), tasks:schedule(blocking_tell),
    tasks.after_route:schedule(tell), tasks.after_route:schedule(blocking_tell),
    tasks.after_response:schedule(tell), tasks.after_response:schedule(blocking_tell),
  }
  context.user = "later"
  return context.user
end)

app:get("/error", function()
  context.user = "ann"
  error "as asked"
end)
app:on_error(function() return 500, tell() end)

app:get("/on_error", function(req)
  context.user = "ann"
  req.tasks:task { on_error = function() app.seen = tell() end }:schedule(error, "as asked")
  context.user = "later"
end)

app:get("/slow", function()
  async.sleep(0.02)
  return { user = context.user, id = context.request_id }
end)

app:get("/keys", function()
  local count = 0
  context.a, context[1], context[true], context.gone = 1, 2, 3, 4
  context.gone = nil
  for key in pairs(context) do
    if key ~= "request_id" then context[key] = nil end
    context["again" .. count] = count
    count = count + 1
  end
  return { count = count, a = context.a or "none", again = context.again3, gone = context.gone }
end)

local misuses = {
  request_id = function() context.request_id = "mine" end,
  nil_key = function() context[nil] = 1 end,
  nan_key = function() context[0 / 0] = 1 end,
  transfer = function()
    context.db = { handle = io.stdout }
    blocking_tell()
  end,
}
app:get("/misuse/{name}", function(req)
  return { error = tostring(select(2, pcall(misuses[req.params.name]))) }
end)

app:get("/log", function()
  local function write(where) log.info("told", { where = where }) end
  write "handler"
  async.spawn(write, "child"):wait()
  async.gather { { write, "gathered" } }
end)

local write_blocking = perilune.blocking(function()
  log.info("told", { where = "pool" })
  async.spawn(function() log.info("told", { where = "child in the pool" }) end):wait()
end)
app:get("/log_blocking", function() write_blocking() end)

return app
