-- tutorial_spec.lua - the table of apps/README.md: what it names is there, and nothing is missing.
--
-- Statements have the numbers 1 to 68; each is in one row. A row names routes of apps, which
-- `perilune routes` must list, or sections of README.md, and specs or measuring scripts.

local fs = require "perilune.fs"
local program = require "spec.support.program"

local STATEMENTS = 68

local apps = program.root() .. "/apps/"
local text = program.read(apps .. "README.md")

--- Rows of the table: the numbers, and the cells behind them.
local function rows()
  local list = {}
  for line in text:gmatch "\n(| S%d[^\n]*)" do
    local cells = {}
    for cell in line:gmatch "|%s*([^|]*)" do cells[#cells + 1] = cell end
    list[#list + 1] = { numbers = cells[1], shown = cells[3], held = cells[4], line = line }
  end
  return list
end

--- Method and path of all routes of an app, as the keys of a table.
local function routes_of(app)
  local routes = {}
  for method, path in program.run({ "routes", apps .. app }).out:gmatch "(%u+)%s+(/%S*)" do
    routes[method .. " " .. path] = true
  end
  return routes
end

--- Whether a spec has a case of that name.
local function has_case(path, name)
  local source = program.read(apps .. path)
  for _, before in ipairs { 'it("', 'it(("', '["' } do
    if source:find(before .. name .. '"', 1, true) then return true end
  end
  return false
end

describe("the table of the tutorial", function()
  it("has each statement once", function()
    local seen = {}
    for _, row in ipairs(rows()) do
      for number in row.numbers:gmatch "S(%d+)" do
        assert.is_nil(seen[number], "twice: S" .. number)
        seen[number] = true
      end
    end
    for number = 1, STATEMENTS do
      assert.is_true(seen[tostring(number)], ("S%d is missing"):format(number))
    end
  end)

  it("names routes and sections that are there", function()
    local known, readme = {}, program.read(program.root() .. "/README.md")
    for _, row in ipairs(rows()) do
      local count = row.shown:find "^later" and 1 or 0
      for app, route in row.shown:gmatch "%[([%w_]+)%]%([%w_]+%) `([^`]+)`" do
        known[app] = known[app] or routes_of(app)
        assert.is_true(known[app][route], ("%s has no %s"):format(app, route))
        count = count + 1
      end
      for title in row.shown:gmatch "%[([^%]]+)%]%(%.%./README.md#[%w-]+%)" do
        assert.is_truthy(readme:find("\n## " .. title .. "\n", 1, true), title)
        count = count + 1
      end
      assert.is_true(count > 0, row.line)
    end
  end)

  it("names specs that are there", function()
    for _, row in ipairs(rows()) do
      local count = row.shown:find "^later" and 1 or 0
      for path, name in row.held:gmatch "%[spec%]%(([^)]+)%) %*([^*]+)%*" do
        assert.is_true(has_case(path, name), ("%s has no case: %s"):format(path, name))
        count = count + 1
      end
      for path in row.held:gmatch "%[bench%]%(([^)]+)%)" do
        assert.is_true(fs.exists(apps .. path), path)
        count = count + 1
      end
      assert.is_true(count > 0, row.line)
    end
  end)

  it("stands behind a list of all pages", function()
    for name in fs.each(apps, { type = "directory" }) do
      assert.is_truthy(text:find(("\n- [%s](%s): "):format(name, name), 1, true), name)
    end
  end)
end)
