-- test_checks_spec.lua - what `perilune test` looks at after each spec, and how it is switched off.
--
-- A run of its own, over an app with specs that leave things behind; its output is read.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local tap = require "support.tap"

local APP = [[
local async = require "perilune.async"
local perilune = require "perilune"
local app = perilune.app { name = "leaks" }

--- Until a spec says so by a file: it ignores that it is not wanted any more.
local slow = perilune.blocking({ name = "slow" }, function()
  async.shield(function()
    while not io.open(app.dir .. "/go") do async.sleep(0.005) end
  end)
end)

local function break_down() error "out of paper" end

app:post("/fails", function(req) req.tasks:schedule(break_down) return 204 end)
app:post("/handled", function(req)
  req.tasks:task { on_error = function() end }:schedule(break_down)
  return 204
end)
app:get("/holds/{seconds:float}", function(req)
  local until_then = os.clock() + req.params.seconds
  while os.clock() < until_then do end -- computes
  return 204
end)
app:get("/slow", function() slow() return 204 end)
app:get("/open", function() io.open("/dev/null") return 204 end) -- left open

return app
]]

--- An `it` for each check, first with all of them on, then with it off.
local SPECS = [[
local async = require "perilune.async"
local test = require "perilune.test"

local function left_open()
  local file = io.open "/dev/null"
  return file
end

local function specs(client_of, held)
  local client
  before_each(function() client = client_of() end)
  after_each(function()
    local path = client.app.dir .. "/go"
    io.open(path, "w"):close()
    client:close()
    os.remove(path)
  end)

  it("leaves a task", function()
    async.spawn(function() async.sleep(60) end)
  end)
  it("leaves a file", function()
    left_open()
  end)
  it("leaves one in a handler", function()
    client:get "/open"
  end)
  it("leaves a call", function()
    pcall(async.timeout, 0.05, client.get, client, "/slow")
  end)
  it("leaves an error", function()
    client:post "/fails"
    async.sleep(0.05)
  end)
  it("holds the loop", function()
    client:get("/holds/" .. (held or 0.01))
  end)
  it("fails by itself", function()
    async.spawn(function() async.sleep(60) end)
    assert.equal(1, 2)
  end)
end

describe("on:", function()
  specs(function() return test.client { stall_limit = LIMIT } end, HELD)
end)

describe("off:", function()
  specs(function() return test.client { checks = false } end)
end)

describe("one off:", function()
  specs(function()
    local checks = { tasks = false, errors = false, stalls = false }
    return test.client { stall_limit = LIMIT, checks = checks }
  end)
end)

describe("clean:", function()
  local client
  setup(function() client = test.client { stall_limit = 60 } end)
  teardown(function() client:close() end)
  it("leaves nothing", function()
    local task = async.spawn(async.sleep, 0.01)
    left_open():close()
    client:post "/handled"
    client:post "/fails"
    pcall(client.finish_tasks, client)
    assert.equal("failed", client.scheduled[2].status)
    task:wait()
  end)
  it("leaves what ends soon", function()
    async.spawn(async.sleep, 0.02)
  end)
  it("may find what was there before", function()
    client:get "/holds/0.01"
  end)
end)
]]

--- Seconds of computing; below the limit only where the limit is ten times as long.
local HELD, LIMIT = "0.6", "0.05"

describe("the checks after a spec", function()
  local result, failures

  setup(function()
    local text = SPECS:gsub("HELD", HELD):gsub("LIMIT", LIMIT)
    local directory = program.make_directory {
      ["app.lua"] = APP, ["spec/leaks_spec.lua"] = text,
    }
    result = program.run { "test", directory, "-o", "TAP" }
    program.remove_directory(directory)
    failures = tap.failures(result.out)
  end)

  local function expect(name, pattern)
    assert.is_truthy(failures[name], name .. " has not failed: " .. result.out)
    assert.matches(pattern, failures[name])
  end

  it("fail a spec that leaves a task, and name the line that made it", function()
    expect("on: leaves a task", "leaks_spec.lua:19: a task was left running, made at "
      .. ".*leaks_spec.lua:20: .* waits in async.sleep, at .*leaks_spec.lua:20")
  end)

  it("fail one that leaves a file open, in the spec or in the app", function()
    expect("on: leaves a file", "a file was left open that .*leaks_spec.lua:5 has opened")
    expect("on: leaves one in a handler", "a file was left open that .*app.lua:25 has opened")
  end)

  it("fail one that leaves a call in a pool", function()
    expect("on: leaves a call", "a call was left running: slow")
  end)

  it("fail one that leaves an error unread", function()
    expect("on: leaves an error",
      "nobody has looked at the error of task break_down: .*app.lua:12: out of paper")
  end)

  it("fail one that holds the event loop, and name the line", function()
    expect("on: holds the loop", "the event loop was held for %d+.%d+ s, longer than stall_limit "
      .. "%([%d.]+ s%): .*app.lua:21")
  end)

  it("leave the error of a spec that has failed as it is", function()
    expect("on: fails by itself", "Expected objects to be equal")
    assert.not_matches("was left running", failures["on: fails by itself"], 1, true)
  end)

  it("are switched off together", function()
    for name in pairs(failures) do
      local is_own = name == "off: fails by itself"
      assert.is_true(is_own or not name:find "^off:", name)
    end
  end)

  it("are switched off one by one", function()
    assert.is_nil(failures["one off: leaves a task"])
    assert.is_nil(failures["one off: leaves an error"])
    expect("one off: leaves a file", "a file was left open")
    assert.is_nil(failures["one off: holds the loop"])
  end)

  it("find nothing where nothing is left", function()
    for name in pairs(failures) do assert.is_nil(name:find "^clean:", failures[name]) end
  end)

  it("count as failures of their specs", function()
    assert.equal(1, result.code)
    assert.matches("12 passed, 12 failed", result.out, 1, true)
  end)
end)

describe("the options of the checks", function()
  local test = require "perilune.test"

  it("are checked", function()
    for text, options in pairs {
      ['option "checks" is a table, not a string'] = { checks = "none" },
      ['unknown option "task" (did you mean "tasks"?)'] = { checks = { task = false } },
      ['option "tasks" is a boolean, not a number'] = { checks = { tasks = 0 } },
      ['option "stall_limit" is a number of seconds above 0'] = { stall_limit = 0 },
    } do
      local ok, err = pcall(test.client, "apps/testing", options)
      assert.is_false(ok)
      assert.matches(text, err, 1, true)
    end
  end)
end)
