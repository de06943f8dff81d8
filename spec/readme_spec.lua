-- readme_spec.lua - README.md is true: commands first, settings as in --help, code as in the apps.
--
-- A code block in the tour that is marked as Lua and stands in an app is looked for there line by
-- line; the blocks that show a single call are listed here.

local lfs = require "lfs"
local program = require "spec.support.program"
local settings_table = require "spec.support.settings_table"

local function read(path)
  local file = assert(io.open(program.root() .. "/" .. path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

--- Lines of the Lua blocks that have no counterpart in an app.
local shown_only = {
  "pcall(async.timeout", "err.kind", "async.gather(", "async.channel(", "jobs:", "test.client()",
  "client:get", "assert.same", "fs.watch ", "crypto.password_", "http.client", "api:",
  "test.replace", "client:post(", "client:finish_tasks", "assert.task_", "client:shutdown(",
}

local function is_shown_only(line)
  for _, part in ipairs(shown_only) do
    if line:find(part, 1, true) then return true end
  end
  return false
end

--- All Lua files of apps/, one behind the other.
local function code_of_apps()
  local texts, apps = {}, program.root() .. "/apps"
  for name in lfs.dir(apps) do
    local directory = apps .. "/" .. name
    local is_app = name:sub(1, 1) ~= "." and lfs.attributes(directory, "mode") == "directory"
    for file in lfs.dir(is_app and directory or apps) do
      if is_app and file:find "%.lua$" then
        texts[#texts + 1] = read(("apps/%s/%s"):format(name, file))
      end
    end
  end
  return table.concat(texts, "\n")
end

describe("README.md", function()
  local readme = read "README.md"

  it("begins with the two commands", function()
    local first = readme:match "^# Perilune\n\n(.-)\n\n"
    assert.equal("    ./perilune serve apps/hello\n    ./perilune test", first)
  end)

  it("has the settings of --help", function()
    local made = settings_table.make(program.run({ "serve", "--help" }).out)
    assert.is_truthy(made:find("--max-body", 1, true))
    if os.getenv "PERILUNE_WRITE_README" then
      local file = assert(io.open(program.root() .. "/README.md", "wb"))
      file:write(settings_table.replace(readme, made))
      file:close()
    else
      assert.equal(made, settings_table.read(readme))
    end
  end)

  it("shows the code of the apps", function()
    local apps = code_of_apps()
    local count = 0
    for block in readme:gmatch "```lua\n(.-)```" do
      for line in block:gmatch "[^\n]+" do
        if not is_shown_only(line) then
          assert.is_truthy(apps:find(line, 1, true), "not in an app: " .. line)
          count = count + 1
        end
      end
    end
    assert.is_true(count > 50)
  end)
end)
