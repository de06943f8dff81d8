-- routes.lua - `perilune routes DIR`: lists the routes of an app.
--
-- The app is loaded as the server loads it, in a worker of its own; routes_main.lua runs there and
-- prints.

local directory = require "perilune.cli.directory"
local run = require "perilune.cli.run"

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
  return run.module(parsed.dir, dir, "perilune.cli.routes_main", { dir = dir })
end

return routes
