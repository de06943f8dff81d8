-- load.lua - what each state of a server runs first: loads the app.
--
-- Called from C (src/server_thread.c, src/roles/pool_runner.c) in the state's first fiber, so
-- loading may wait. While an app is being developed its errors are shown, and its globals watched.

local app = require "perilune.app"
local develop = require "perilune.native.develop"

local function load_developed()
  local globals = require "perilune.develop.globals"
  develop.set_page(require "perilune.develop.page".error)
  local baseline = globals.names()
  local loaded = app.load_directory()
  globals.watch(baseline)
  return loaded
end

---@param load_error string|nil why the app does not load: that is served in its place
---@return table app
return function(load_error)
  if load_error then return require "perilune.develop.broken"(load_error) end
  if develop.is_on() then return load_developed() end
  return app.load_directory()
end
