-- main.lua - the command line: from words to an exit code.
--
-- Returns function(argv). What is wrong with the words or the directory ends in one line
-- `perilune: ...` on standard error: exit code 2 for the command line itself, 1 for the rest.
-- Everything behind that is the commands': serve.lua, test.lua, routes.lua.

local argparse = require "argparse"
local native = require "perilune.native.server"
local fail = require "perilune.cli.fail"

local HELP_COLUMNS = 100
local HELP_MARGIN = 32

local command_names = { "new", "dev", "serve", "test", "check", "routes", "repl" }
local commands = {
  new = require "perilune.cli.new",
  dev = require "perilune.cli.dev",
  serve = require "perilune.cli.serve",
  test = require "perilune.cli.test",
  check = require "perilune.cli.check",
  routes = require "perilune.cli.routes",
  repl = require "perilune.cli.repl",
}

local function version_text()
  local versions = native.versions()
  return ("perilune %s (Lua %s, libuv %s, llhttp %s)"):format(
    versions.perilune, versions.lua, versions.libuv, versions.llhttp)
end

--- A flag that ends the parsing: `answer.text` is then what to print.
local function add_answer(parser, names, description, answer, make_text)
  parser:flag(names):description(description):action(function()
    answer.text = make_text(parser)
    error(answer, 0)
  end)
end

local function add_help(parser, answer)
  add_answer(parser, "-h --help", "Show this help.", answer, parser.get_help)
end

local function add_command(parser, name, answer)
  local command = commands[name]
  local declared = parser
    :command(name)
    :summary(command.summary)
    :description(command.description)
    :usage("Usage: " .. command.usage)
    :add_help(false)
  local argument = command.argument or { name = "DIR", description = "The app's directory." }
  declared:argument(argument.name):target("dir"):description(argument.description)
  add_help(declared, answer)
  if command.add_options then command.add_options(declared) end
end

local function build_parser(answer)
  local parser = argparse("perilune")
    :description "Perilune, a Lua-scriptable application server."
    :usage "Usage: perilune COMMAND DIR [options]"
    :epilog "perilune COMMAND --help says more about each."
    :command_target("command")
    :help_max_width(HELP_COLUMNS)
    :help_description_margin(HELP_MARGIN)
    :add_help(false)
  add_help(parser, answer)
  add_answer(parser, "--version", "Show its version and its libraries'.", answer, version_text)
  for _, name in ipairs(command_names) do add_command(parser, name, answer) end
  return parser
end

--- argparse's message in one line that always says what there is instead.
local function explain(message, argv)
  local line, tips = message:gsub("\nDid you mean", "; did you mean")
  if tips > 0 then return line end
  local unknown = line:match("^unknown option '%-%-(.*)'$")
  if unknown and (argv[1] == "serve" or argv[1] == "dev") then
    return ("%s; the nearest is --%s"):format(line, native.nearest(unknown))
  end
  local command = commands[argv[1]]
  if command then return ("%s (usage: %s)"):format(line, command.usage) end
  return ("%s (perilune --help lists the commands)"):format(line)
end

local function run(argv)
  if argv[1] == "test" then
    local dir, busted_arguments = commands.test.split(argv)
    if dir then return commands.test.run(dir, busted_arguments) end
  end
  local answer = {}
  local parser = build_parser(answer)
  local ok, is_right, result = pcall(parser.pparse, parser, argv)
  if answer.text then
    io.write(answer.text, "\n")
    return 0
  end
  if not ok then error(is_right, 0) end
  if not is_right then fail("usage", "%s", explain(result, argv)) end
  return commands[result.command].run(result)
end

local function handle_error(err)
  if type(err) == "table" and err.kind == "command" then return err end
  return debug.traceback(tostring(err), 2)
end

---@param argv string[] the words behind the program's name
---@return integer exit_code
local function main(argv)
  local ok, result = xpcall(run, handle_error, argv)
  if ok then return result end
  local is_clear = type(result) == "table"
  io.stderr:write("perilune: ", is_clear and result.message or result, "\n")
  return is_clear and result.exit_code or 1
end

return main
