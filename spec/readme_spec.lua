-- readme_spec.lua - README.md is true: commands first, settings as in --help, code as in the apps.
--
-- Every code block that is marked as Lua stands in a file of an app, line for line, and every
-- command that is shown with its answer is run against apps/hello.

local json = require "perilune.json"
local page = require "spec.support.page"
local program = require "spec.support.program"
local server = require "spec.support.server"
local settings_table = require "spec.support.settings_table"
local source = require "spec.support.source"

--- All Lua files of apps/, specs too: a list of texts that begin with a line's end.
local function files_of_apps()
  local texts = {}
  for _, file in ipairs(source.tree(program.root(), { "apps" }, { "lua" })) do
    texts[#texts + 1] = "\n" .. file.text
  end
  return texts
end

local function is_in(texts, block)
  for _, text in ipairs(texts) do
    if text:find("\n" .. block, 1, true) then return true end
  end
  return false
end

--- The commands that are shown with a "$", each with the answer below it.
local function commands_of(readme)
  local list = {}
  for block in readme:gmatch "```\n(%$ .-)```" do
    for command, answer in (block .. "$ "):gmatch "%$ ([^\n]+)\n(.-)%f[$\0]" do
      list[#list + 1] = { command = command, answer = answer }
    end
  end
  return list
end

describe("README.md", function()
  local readme = program.read(program.root() .. "/README.md")

  it("begins with the two commands", function()
    local first = readme:match "^# Perilune\n\n(.-)\n\n"
    assert.equal("    ./perilune serve apps/hello\n    ./perilune test", first)
  end)

  local function check_table(name, made)
    if os.getenv "PERILUNE_WRITE_README" then
      readme = settings_table.replace(readme, name, made)
      program.write(program.root() .. "/README.md", readme)
    else
      assert.equal(made, settings_table.read(readme, name))
    end
  end

  it("has the settings of --help", function()
    local made = settings_table.make(program.run({ "serve", "--help" }).out)
    assert.is_truthy(made:find("--max-body", 1, true))
    check_table("settings", made)
  end)

  it("has the limits of --help", function()
    if os.getenv "STRESS" == "1" then return pending "they are others there" end
    local made = settings_table.make_limits(program.run({ "serve", "--help" }).out)
    assert.is_truthy(made:find("| 256 MiB | that one call of perilune.fs reads", 1, true))
    check_table("limits", made)
  end)

  it("shows the code of the apps, each block as it stands in one of their files", function()
    local files, count = files_of_apps(), 0
    for block in readme:gmatch "```lua\n(.-)```" do
      assert.is_true(is_in(files, block), "in no file of an app:\n" .. block)
      count = count + 1
    end
    assert.is_true(count > 30)
  end)

  it("shows what commands answer", function()
    local served = server.start "apps/hello"
    local place = { dir = program.root(), ports = { [8080] = served.port } }
    local shown, problem = commands_of(readme), nil
    for _, one in ipairs(shown) do
      local result = page.run(one.command, place)
      if result.code ~= 0 then problem = result.err break end
      assert.same(json.decode(one.answer), json.decode(result.out), one.command)
    end
    served:kill()
    assert.is_nil(problem)
    assert.equal(5, #shown)
  end)
end)
