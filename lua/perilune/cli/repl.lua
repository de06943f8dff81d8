-- repl.lua - `perilune repl DIR`: a prompt inside an app that has been loaded and started.
--
-- The app is served in this process, as for its specs; repl_main.lua reads and runs the lines.

local native = require "perilune.native.server"
local directory = require "perilune.cli.directory"
local run = require "perilune.cli.run"

local repl = {
  usage = "perilune repl DIR",
  summary = "Try out an app at a prompt.",
  description = "Starts the app in DIR and reads Lua from standard input: expressions are printed,"
    .. " functions that wait may be called. There are `app`, `client` (a client of perilune.test:"
    .. " client:get \"/\"), `perilune` and `async`. The end of the input (^D) stops the app.",
}

---@param parsed table dir
---@return integer exit_code
function repl.run(parsed)
  local dir = directory.of_app(parsed.dir)
  local arguments = { dir = dir, has_prompt = native.reads_terminal() }
  return run.module(parsed.dir, dir, "perilune.cli.repl_main", arguments)
end

return repl
