-- run.lua - a Lua module of the command line, run by one worker in an app's directory.
--
-- With the settings and app settings that its conf.lua and the environment say.

local native = require "perilune.native.server"
local settings = require "perilune.cli.settings"

local run = {}

--- Runs the module's function and gives its exit code.
---@param shown string the app's directory as it was given
---@param dir string the same, absolute
---@param module string
---@param arguments table
---@return integer exit_code
function run.module(shown, dir, module, arguments)
  local texts, app_settings = settings.collect(shown, {})
  settings.prefer_text(texts)
  return native.run {
    dir = dir,
    settings = texts,
    app_settings = app_settings,
    module = module,
    arguments = arguments,
  }
end

return run
