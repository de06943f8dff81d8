-- serve.lua - `perilune serve DIR`: runs an app until a signal ends it.
--
-- Collects the settings and hands over; the server itself is src/server.c, which also prints what
-- goes wrong from there on.

local native = require "perilune.native.server"
local directory = require "perilune.cli.directory"
local limits = require "perilune.cli.limits"
local settings = require "perilune.cli.settings"

local serve = {
  usage = "perilune serve DIR [options]",
  summary = "Serve an app.",
  description = "Serves the app in DIR until SIGTERM or SIGINT. A setting is taken from its flag,"
    .. " else from the environment variable named beside it, else from DIR/conf.lua (a table, names"
    .. " with underscores), else it has its default. Sizes may end in k, m or g; times are seconds,"
    .. " or milliseconds with ms.",
}

function serve.add_options(command)
  settings.add_options(command)
  command:epilog(limits.text())
end

---@param parsed table dir and the flags by name with underscores
---@return integer exit_code
function serve.run(parsed)
  local dir = directory.of_app(parsed.dir)
  local texts, app_settings = settings.collect(parsed.dir, parsed)
  return native.serve { dir = dir, settings = texts, app_settings = app_settings }
end

return serve
