-- hooks.lua - recording what an app wants to run at points of its life: on_start, every, ...
--
-- An app only notes its hooks while it loads; resolve.lua puts those of all mounted apps into one
-- list. life.lua runs them.

local check = require "perilune.check"
local native = require "perilune.native.app"
local route_options = require "perilune.route_options"

local hooks = { methods = {} }
local methods = hooks.methods

local function record(app, name, fn, seconds, ...)
  if app.is_loaded then check.fail("%s is called while the app loads, not later", name) end
  if select("#", ...) > 0 then check.fail("%s takes one function; call it for each", name) end
  route_options.check_callable(name .. "'s function", fn)
  app.hooks[#app.hooks + 1] = { name = name, fn = fn, seconds = seconds, source = check.where() }
end

--- Runs once per process, before the first connection is accepted; an error ends the process.
---@param fn function may wait, may be blocking
---@usage app:on_start(function() db:migrate(migrations) end)
function methods.on_start(self, fn, ...)
  record(self, "on_start", fn, nil, ...)
end

--- Runs once per process, after the last task; in reverse order of writing.
---@param fn function may wait, may be blocking
---@usage app:on_stop(function() db:close() end)
function methods.on_stop(self, fn, ...)
  record(self, "on_stop", fn, nil, ...)
end

--- Runs once in each HTTP worker, before connections are accepted.
---@param fn function may wait, may be blocking
---@usage app:on_worker(function() cache.fill() end)
function methods.on_worker(self, fn, ...)
  record(self, "on_worker", fn, nil, ...)
end

--- Runs once in every Lua state, when the app has loaded there.
---@param fn function fn{ role = "http" | "pool" | "background", name=, index= }, may wait
---@usage app:on_state(function(state) math.randomseed(seed, state.index) end)
function methods.on_state(self, fn, ...)
  if native.marked(fn) then
    check.fail("on_state's function cannot be a blocking or background one: it runs in every state")
  end
  record(self, "on_state", fn, nil, ...)
end

--- Runs a function again and again, once per process, never two at a time.
---@param seconds number from one start to the next; while one still runs, others are left out
---@param fn function may wait, may be blocking
---@usage app:every(60, function() sessions.expire() end)
function methods.every(self, seconds, fn, ...)
  if type(seconds) ~= "number" or seconds <= 0 or seconds ~= seconds then
    check.fail("every takes a number of seconds above 0, not %s", check.show(seconds))
  end
  record(self, "every", fn, seconds, ...)
end

--- The hooks of apps as one list.
---@param apps table[] in the order of mounting
---@return table[] { name=, fn=, source=, seconds= }
function hooks.gather(apps)
  local all = {}
  for _, app in ipairs(apps) do table.move(app.hooks, 1, #app.hooks, #all + 1, all) end
  return all
end

return hooks
