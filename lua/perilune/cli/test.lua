-- test.lua - `perilune test DIR [busted options]`: runs the specs of an app or of a directory.
--
-- What stands behind DIR belongs to busted and passes through unread, so this command takes its
-- words apart itself. The specs run in a worker of their own (test_main.lua), where they may wait.

local busted_words = require "perilune.cli.busted_words"
local directory = require "perilune.cli.directory"
local fail = require "perilune.cli.fail"
local run = require "perilune.cli.run"

local test = {
  usage = "perilune test DIR [busted options]",
  summary = "Run an app's specs.",
  description = "Runs the busted specs of the app in DIR (spec/*_spec.lua), or every *_spec.lua"
    .. " in a DIR without app.lua. All that stands behind DIR goes to busted: --filter PATTERN,"
    .. " --tags TAGS, -o TAP, ...",
}

--- Takes the words behind `test` apart; nil for what argparse should answer (--help).
---@param argv string[] the whole command line
---@return string|nil dir
---@return string[]|nil busted_arguments
function test.split(argv)
  local dir = argv[2]
  if dir == "-h" or dir == "--help" then return nil end
  if not dir or dir:sub(1, 1) == "-" then
    fail("usage", "test needs a directory first: %s", test.usage)
  end
  return dir, table.move(argv, 3, #argv, 1, {})
end

---@param dir string as typed
---@param busted_arguments string[]
---@return integer exit_code
function test.run(dir, busted_arguments)
  local absolute = directory.absolute(dir)
  local _, roots = busted_words.parse(busted_arguments)
  if not directory.has_app(absolute) and not directory.has_specs(absolute) then
    fail("failed", "%s has no app.lua and no *_spec.lua", dir)
  end
  if directory.has_app(absolute) and #roots == 0
    and not directory.has_specs(absolute .. "/spec") then
    fail("failed", "%s has no specs: write %s/spec/NAME_spec.lua (perilune new PATH makes an app"
      .. " with one)", dir, (dir:gsub("/+$", "")))
  end
  local arguments = { dir = absolute, arguments = busted_arguments }
  return run.module(dir, absolute, "perilune.cli.test_main", arguments)
end

return test
