-- init.lua - `require "perilune"`: what apps are written with.
--
-- Apps, responses, marks, loops and aborts. The libraries are modules of their own (perilune.async,
-- perilune.json, perilune.log, ...).

local app = require "perilune.app"
local async = require "perilune.async"
local check = require "perilune.check"
local context = require "perilune.context"
local file = require "perilune.file"
local loop = require "perilune.loop"
local native = require "perilune.native.app"
require "perilune.once"
local response = require "perilune.response"
local router = require "perilune.router"
local stream = require "perilune.stream"

local perilune = {
  app = app.new,
  router = router.new,
  response = response.new,
  html = response.html,
  redirect = response.redirect,
  abort = response.abort,
  file = file.new,
  stream = stream.new,
  sse = stream.events,
  null = native.null,
  context = context,
  loop = loop.new,
}

local blocking_options = { "pool", "name", "timeout" }
local background_options = { "queue", "name", "timeout" }
local QUEUE_MAX = 1000000

--- The timeout of a mark, and what runs fn with it where the mark is called in its own place, so
--- that nobody waits for it elsewhere; nothing when there is none.
local function check_timeout(options, fn)
  check.field(options, "timeout", "number")
  local timeout = options.timeout
  if not timeout then return end
  if timeout <= 0 or timeout ~= timeout then
    check.fail('option "timeout" is a number of seconds above 0')
  end
  return timeout, function(...) return async.timeout(timeout, fn, ...) end
end

--- Marks a function as blocking: wherever it is called from, it runs on the thread pool, in a Lua
--- state of its own. Marks are made while the app loads.
---@param options table|function { pool=, timeout=, name= }, may be left out
---@param fn function|nil
---@return function marked a plain function
---@usage local thumbnail = perilune.blocking(function(path, width) ... return out end)
function perilune.blocking(options, fn)
  if fn == nil and type(options) == "function" then options, fn = {}, options end
  check.type("perilune.blocking", 1, options, "table", "options")
  check.type("perilune.blocking", 2, fn, "function", "a function")
  check.options(options, blocking_options)
  check.field(options, "pool", "string")
  check.field(options, "name", "string")
  return check.call(native.mark, fn, options.pool, options.name, check_timeout(options, fn))
end

--- Marks a function as one of a background loop: wherever it is called from, it runs as a coroutine
--- there, on the loop's own thread and in its own Lua state. Marks are made while the app loads.
---@param name string of the loop; one per name and process
---@param options table|function { queue=, timeout=, name= }, may be left out
---@param fn function|nil
---@return function marked a plain function
---@usage local track = perilune.background("analytics", function(event) ... end)
function perilune.background(name, options, fn)
  loop.check_name("perilune.background", name)
  if fn == nil and type(options) == "function" then options, fn = {}, options end
  check.type("perilune.background", 2, options, "table", "options")
  check.type("perilune.background", 3, fn, "function", "a function")
  check.options(options, background_options)
  local queue = options.queue
  if queue ~= nil and (math.type(queue) ~= "integer" or queue < 1 or queue > QUEUE_MAX) then
    check.fail('option "queue" is a whole number from 1 to %d', QUEUE_MAX)
  end
  check.field(options, "name", "string")
  return check.call(native.mark_background, fn, name, queue, options.name,
    check_timeout(options, fn))
end

--- `perilune.tasks`: the scheduler of the running request, else that of its app. What there is not
--- is an error, since it would be called.
local function index(_, key)
  if key == "tasks" then return check.call(native.tasks) end
  if type(key) ~= "string" then return nil end
  local known = { "tasks" }
  for name in pairs(perilune) do known[#known + 1] = name end
  check.fail("there is no perilune.%s (did you mean perilune.%s?)", key,
    native.nearest(key, known))
end

return setmetatable(perilune, { __index = index })
