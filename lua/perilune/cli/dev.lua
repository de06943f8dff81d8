-- dev.lua - `perilune dev DIR`: serves an app and loads it anew whenever its files change.
--
-- One worker, with the settings of `serve`. What is done on a change, and what is served while the
-- app does not load, is in src/server.c; conf.lua is read again here, of which the app's own
-- settings count at once and those of the server from the next start on.

local native = require "perilune.native.server"
local directory = require "perilune.cli.directory"
local settings = require "perilune.cli.settings"

local dev = {
  usage = "perilune dev DIR [options]",
  summary = "Serve an app while it is being written.",
  description = "Serves the app in DIR with one worker and loads it anew when its files change: the"
    .. " port stays open, requests in flight end in the version they began in, and while a new"
    .. " version does not load the last one that did goes on. Errors are shown in the responses."
    .. " The log is text unless --log-format says otherwise. The options are those of serve.",
}

function dev.add_options(command)
  settings.add_options(command, { workers = true })
end

---@param parsed table dir and the flags by name with underscores
---@return integer exit_code
function dev.run(parsed)
  local dir = directory.of_app(parsed.dir)
  local texts, app_settings = settings.collect(parsed.dir, parsed)
  texts.workers = "1"
  settings.prefer_text(texts)
  return native.develop {
    dir = dir,
    settings = texts,
    app_settings = app_settings,
    reread = function()
      local ok, result, fresh = pcall(settings.collect, parsed.dir, parsed)
      if ok then return fresh end
      error(type(result) == "table" and result.message or result, 0)
    end,
  }
end

return dev
