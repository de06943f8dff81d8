-- routes.lua - `perilune routes DIR`: lists the routes of an app.
--
-- The app is loaded as the server loads it, in a worker of its own; routes_main.lua runs there and
-- prints.

local native = require "perilune.native.server"
local directory = require "perilune.cli.directory"
local settings = require "perilune.cli.settings"

local routes = {
  usage = "perilune routes DIR",
  summary = "List an app's routes.",
  description = "Lists the routes of the app in DIR: method, path, where the handler runs, and"
    .. " where it is written.",
}

---@param parsed table dir
---@return integer exit_code
function routes.run(parsed)
  local dir = directory.of_app(parsed.dir)
  local texts, app_settings = settings.collect(parsed.dir, {})
  return native.run {
    dir = dir,
    settings = texts,
    app_settings = app_settings,
    module = "perilune.cli.routes_main",
    arguments = { dir = dir },
  }
end

return routes
