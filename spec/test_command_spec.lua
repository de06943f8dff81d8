-- test_command_spec.lua - `perilune test` with the options of busted.
--
-- Apps with specs are written into temporary directories and run by the real binary, from another
-- directory than theirs.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"

local APP = [[
local perilune = require "perilune"
local async = require "perilune.async"
local app = perilune.app {}
app:get("/", function()
  async.sleep(0)
  return { value = 7 }
end)
return app
]]

local SPEC = [[
local test = require "perilune.test"
describe("the app", function()
  local client
  setup(function() client = test.client() end)
  teardown(function() client:close() end)
  it("answers <7>", function() assert.equal(7, client:get("/"):json().value) end)
  it("is the same", function() assert.equal(EXPECTED, client:get("/"):json().value) end)
  pending("later", function() end)
end)
]]

local directory

setup(function()
  directory = program.make_directory {
    ["app.lua"] = APP,
    ["spec/a_spec.lua"] = SPEC:gsub("EXPECTED", "7"),
    ["failing/b_spec.lua"] = SPEC:gsub("EXPECTED", "8"),
    ["helper.lua"] = [[
      require "perilune.async".sleep(0)
      io.write("helped by ", arg[1] or "nobody", "\n")
    ]],
  }
end)

teardown(function() program.remove_directory(directory) end)

local function run(...) return program.run { "test", directory, ... } end

local function contains(text, words)
  assert.is_truthy(text:find(words, 1, true), ("no %q in:\n%s"):format(words, text))
end

describe("perilune test", function()
  it("counts all runs with --repeat", function()
    for _, words in ipairs { { "--repeat", "3" }, { "--repeat=3" } } do
      local result = run(table.unpack(words))
      assert.equal(0, result.code, result.err)
      contains(result.out, "run 3 of 3")
      assert.matches("\n6 passed, 0 failed, 3 skipped\n$", result.out)
    end
  end)

  it("writes TAP, and where it has failed", function()
    local result = run("-o", "TAP")
    assert.equal(0, result.code, result.err)
    contains(result.out, "ok 1 - the app answers <7>\nok 2 - the app is the same\n")
    assert.matches("1%.%.3\n2 passed, 0 failed, 1 skipped\n$", result.out)
    result = run(directory .. "/failing", "-o", "TAP")
    assert.equal(1, result.code)
    contains(result.out, "not ok 2 - the app is the same\n")
    contains(result.out, "b_spec.lua:7")
    assert.matches("\n1 passed, 1 failed, 1 skipped\n$", result.out)
  end)

  it("writes a document of JUnit, with nothing behind it", function()
    local result = run("-o", "junit", directory .. "/failing")
    assert.equal(1, result.code)
    assert.matches("^%s*<testsuites .*</testsuites>%s*$", result.out)
    contains(result.out, "answers &lt;7&gt;")
    contains(result.out, "<failure")
    contains(result.err, "1 passed, 1 failed, 1 skipped\n")
  end)

  it("writes a document into a file", function()
    local path = directory .. "/out.xml"
    local result = run("-o", "junit", "-Xoutput", path)
    assert.equal(0, result.code, result.err)
    assert.equal("2 passed, 0 failed, 1 skipped\n", result.out)
    local file = assert(io.open(path))
    local text = file:read "a"
    file:close()
    assert.matches("</testsuites>%s*$", text)
  end)

  it("tells of an output that fails", function()
    local result = run("-o", "nosuch")
    assert.equal(1, result.code)
    contains(result.err, "nosuch")
    result = run("-o", "json")
    if result.code ~= 0 then contains(result.err, "perilune: busted's output has failed: ") end
  end)

  it("runs the app's specs with a helper, which may wait", function()
    local result = run("--helper", directory .. "/helper.lua", "-Xhelper", "spec")
    assert.equal(0, result.code, result.err)
    assert.matches("^helped by spec\n", result.out)
    contains(result.out, "2 passed, 0 failed, 1 skipped\n")
    result = run("--helper=" .. directory .. "/none.lua")
    assert.equal(1, result.code)
    contains(result.err, "none.lua")
  end)

  it("runs the named files alone, also behind --", function()
    for _, words in ipairs { { directory .. "/failing" }, { "--", directory .. "/failing" } } do
      contains(run(table.unpack(words)).out, "1 passed, 1 failed, 1 skipped\n")
    end
    local result = run(directory .. "/nosuch_spec.lua")
    assert.equal(1, result.code)
    contains(result.out, "nosuch_spec.lua")
    contains(result.out, "0 passed, ")
  end)

  it("lists specs without running them", function()
    local result = run "--list"
    assert.equal(0, result.code, result.err)
    assert.matches("a_spec%.lua:6: the app answers <7>\n", result.out)
    assert.is_nil(result.out:find("passed", 1, true))
  end)
end)
