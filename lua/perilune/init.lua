-- init.lua - `require "perilune"`: what apps are written with.
--
-- Apps, responses, marks and aborts. The libraries are modules of their own (perilune.async,
-- perilune.json, perilune.log, ...).

local app = require "perilune.app"
local async = require "perilune.async"
local check = require "perilune.check"
local context = require "perilune.context"
local file = require "perilune.file"
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
}

local blocking_options = { "pool", "name", "timeout" }

--- What runs fn in a thread of the pool itself, where nobody waits for it elsewhere.
local function with_timeout(seconds, fn)
  return function(...) return async.timeout(seconds, fn, ...) end
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
  check.field(options, "timeout", "number")
  local timeout = options.timeout
  if not timeout then return check.call(native.mark, fn, options.pool, options.name) end
  if timeout <= 0 or timeout ~= timeout then
    check.fail('option "timeout" is a number of seconds above 0')
  end
  return check.call(native.mark, fn, options.pool, options.name, timeout,
    with_timeout(timeout, fn))
end

return perilune
