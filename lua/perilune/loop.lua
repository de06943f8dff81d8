-- loop.lua - perilune.loop(name): the handle of a background loop.
--
-- Every state that loads the app notes the hooks of all loops; those of a loop run in its own state
-- alone (life.lua). What is asked of a running loop goes there from any state (src/lib/loop.c).

local check = require "perilune.check"
local native = require "perilune.native.loop"
local route_options = require "perilune.route_options"

local loop = {}

local Loop = { __name = "loop" }
Loop.__index = Loop

function loop.check_name(what, name)
  check.type(what, 1, name, "string", "the name of a loop")
  if name == "" or name:find "%c" then
    check.fail("%s: the name of a loop is not empty and has no control characters", what)
  end
end

--- The handle of a loop. Asked for while the app loads, it makes the loop known, as a background
--- function does.
---@param name string
---@return table loop
---@usage local analytics = perilune.loop("analytics")
function loop.new(name)
  loop.check_name("perilune.loop", name)
  if not native.find(name) then check.fail("there is no loop %q in this app", name) end
  return setmetatable({ name = name }, Loop)
end

local function record(self, kind, fn, ...)
  if not native.is_loading() then
    check.fail("loop:%s is called while the app loads, not later", kind)
  end
  if select("#", ...) > 0 then check.fail("%s takes one function; call it for each", kind) end
  route_options.check_callable(kind .. "'s function", fn)
  local hooks = native.find(self.name)
  hooks[#hooks + 1] = { owner = "loop", name = kind, fn = fn, source = check.where() }
end

local methods = {}

--- Runs in the loop, before its first call and before the server accepts connections; an error ends
--- the process.
---@param fn function may wait
---@usage analytics:on_start(function() batch = {} end)
function methods.on_start(self, fn, ...)
  record(self, "on_start", fn, ...)
end

--- Runs in the loop when it ends, after its last call; in reverse order of writing.
---@param fn function may wait
---@usage analytics:on_stop(function() flush(batch) end)
function methods.on_stop(self, fn, ...)
  record(self, "on_stop", fn, ...)
end

local function order(self, what)
  if native.is_loading() then
    check.fail("loop:%s is called once the app has loaded: use app:on_start", what)
  end
  if not native[what](self.name) then check.fail("there is no loop %q in this app", self.name) end
end

--- Cancels every call that the loop has, those that wait for their start too, and what they have
--- spawned; does not wait for their end.
---@usage analytics:cancel_all()
function methods.cancel_all(self)
  order(self, "cancel_all")
end

--- Ends the loop: no further calls, those that it has are cancelled, its on_stop hooks run. Does
--- not wait for that; twice is harmless.
---@usage analytics:stop()
function methods.stop(self)
  order(self, "stop")
end

check.methods(Loop, methods)

return loop
