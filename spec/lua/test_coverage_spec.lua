-- test_coverage_spec.lua - `perilune test --coverage`: whose lines are counted, and how they are
-- saved.
--
-- luacov is played by a small module with the names of the real one's functions, which does what
-- that does: it sets a hook, puts functions in place of coroutine's, saves when it is collected,
-- and adds to what is in its file. It notes when two states save at once.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"

local RUNNER = [[
local runner = { data = {}, tick = false, initialized = false, defaults = {} }
local directory = DIRECTORY

local function read_file()
  local found = {}
  local file = io.open(runner.configuration.statsfile)
  if not file then return found end
  for name, line, hits in file:read "a":gmatch "([^\n]-):(%d+) (%d+)\n" do
    found[name .. ":" .. line] = tonumber(hits)
  end
  file:close()
  return found
end

function runner.debug_hook(_, line, level)
  if not runner.initialized then return end
  local name = debug.getinfo(level or 2, "S").source:match "^@(.*)"
  if not name then return end
  for _, pattern in ipairs(runner.configuration.exclude) do
    if (name:gsub("%.lua$", "")):find(pattern) then name = "excluded" end
  end
  local key = name:match "[^/]*$" .. ":" .. line
  runner.data[key] = (runner.data[key] or 0) + 1
end

local function write(name, text, mode)
  local file = assert(io.open(directory .. "/" .. name, mode or "a"))
  file:write(text)
  file:close()
end

function runner.save_stats()
  local lock = directory .. "/saving"
  local other = io.open(lock)
  if other then write("clashes", "clash\n") end
  write("saving", "", "w")
  local all = read_file()
  for key, hits in pairs(runner.data) do all[key] = (all[key] or 0) + hits end
  local until_then = os.clock() + 0.005
  while os.clock() < until_then do end
  local file = assert(io.open(runner.configuration.statsfile, "w"))
  for key, hits in pairs(all) do file:write(key, " ", hits, "\n") end
  file:close()
  os.remove(lock)
  write("saves", tostring(runner.data):match "0x%x+" .. "\n")
  runner.data = {}
end

function runner.run_report() write("reports", "report\n") end

function runner.load_config(given)
  runner.configuration = { statsfile = directory .. "/stats", exclude = {} }
  runner.configuration.runreport = given ~= nil
  if given then write("configs", given .. "\n") end
  local shell = io.popen "pwd"
  runner.working_directory = shell:read()
  shell:close()
  return runner.configuration
end

function runner.init(given)
  runner.load_config(given)
  os.exit = function() error "luacov's os.exit" end
  debug.sethook(runner.debug_hook, "l")
  local inherited = coroutine.wrap(function() return debug.gethook() end)()
  assert(inherited ~= runner.debug_hook, "each coroutine has a hook of its own")
  coroutine.create = function() error "luacov's coroutine.create" end
  coroutine.wrap = function() error "luacov's coroutine.wrap" end
  runner.on_exit_trick = setmetatable({}, { __gc = function() write("clashes", "finalizer\n") end })
  runner.initialized = true
end

return setmetatable(runner, { __call = function(_, given) runner.init(given) end })
]]

--- Each marked line is reached once, in the place that its mark names.
local APP = [[
local async = require "perilune.async"
local perilune = require "perilune"
local app = perilune.app { name = "covered", pools = { default = { threads = 3 } } }
local note = require "note"
local shared = require "perilune.shared"

app:get("/handler", function(req)
  req.tasks:schedule(function()
    async.sleep(0.001)
    note "task" -- a task
  end)
  for value in coroutine.wrap(function()
    async.sleep(0.001)
    coroutine.yield(1) -- a wrapped coroutine
  end) do
    note(value)
  end
  local co = coroutine.create(function()
    return coroutine.wrap(function()
      return note "deep" -- a coroutine in a coroutine
    end)()
  end)
  coroutine.resume(co)
  note "end" -- a handler
  return 204
end)

app:get("/interrupted", function()
  pcall(async.timeout, 0.01, function() while true do end end)
  note "after it" -- behind an interruption
  return 204
end)

--- Three at once, on three threads.
local crunch = perilune.blocking(function()
  local together = shared "together"
  together:incr "count"
  while together:get "count" % 3 ~= 0 do async.sleep(0.001) end
  note "pool" -- a pool thread
end)
app:get("/pool", function()
  async.gather(crunch, crunch, crunch)
  return 204
end)

local on_loop = perilune.background("ring", function()
  note "loop" -- a background loop
end)
app:get("/loop", function() on_loop() return 204 end)
app:get("/never", function()
  note "never" -- nobody
end)
return app
]]

local NOTE = [[
return function(value)
  return value -- a module of the app
end
]]

local SPECS = [[
local async = require "perilune.async"
local test = require "perilune.test"

it("covers", function()
  local client = test.client { stall_limit = 60 }
  client:get "/handler"
  client:get "/interrupted"
  client:get "/pool"
  client:get "/loop"
  client:finish_tasks()
  async.spawn(function()
    client:get "/handler" -- a task of the spec
  end):wait()
  assert.is_true(pcall(coroutine.wrap(function() end)))
  client:finish_tasks()
  client:close()
end)
]]

local MARKS = { ["a task"] = 2, ["a wrapped coroutine"] = 2, ["a coroutine in a coroutine"] = 2,
  ["a handler"] = 2, ["behind an interruption"] = 1, ["a pool thread"] = 3,
  ["a background loop"] = 1, ["a task of the spec"] = 1 }

local directory

setup(function()
  directory = program.make_directory {
    ["app.lua"] = APP, ["note.lua"] = NOTE, ["spec/covered_spec.lua"] = SPECS,
    ["options"] = "return {}", ["empty/.keep"] = "",
  }
  local runner = RUNNER:gsub("DIRECTORY", ("%q"):format(directory))
  program.write(directory .. "/luacov_here/luacov/runner.lua", runner)
end)
teardown(function() program.remove_directory(directory) end)

local function run(words, path)
  for _, name in ipairs { "stats", "saves", "clashes", "reports", "configs" } do
    os.remove(directory .. "/" .. name)
  end
  local lua_path = ("LUA_PATH=%s/%s/?.lua;;"):format(directory, path or "luacov_here")
  return program.run({ "test", directory, table.unpack(words) }, { lua_path })
end

local function read(name) return program.read(directory .. "/" .. name) end

--- The hits of a marked line of a text.
local function hits_of(stats, file, text, mark)
  local number = 0
  for line in text:gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find("-- " .. mark .. "$") then
      local pattern = ("\n%s:%d (%%d+)\n"):format(file:gsub("%p", "%%%0"), number)
      return tonumber(stats:match(pattern) or 0)
    end
  end
end

local function count_lines(text)
  return select(2, text:gsub("\n", ""))
end

describe("perilune test --coverage", function()
  local result, stats

  setup(function()
    result = run { "--coverage", "-o", "TAP" }
    stats = "\n" .. read "stats":gsub("\n", "\n\n")
  end)

  it("runs the specs as ever", function()
    assert.equal(0, result.code, result.out .. result.err)
    assert.matches("1 passed, 0 failed\n$", result.out)
    assert.is_nil(result.err:find("luacov", 1, true), result.err)
  end)

  for mark, hits in pairs(MARKS) do
    it("counts the lines of " .. mark, function()
      local file, text = "app.lua", APP
      if mark == "a task of the spec" then file, text = "covered_spec.lua", SPECS end
      assert.equal(hits, hits_of(stats, file, text, mark), stats)
    end)
  end

  it("adds up what states have counted of one line", function()
    assert.equal(2 * 4 + 1 + 3 + 1, hits_of(stats, "note.lua", NOTE, "a module of the app"))
    assert.equal(0, hits_of(stats, "app.lua", APP, "nobody"))
  end)

  it("saves once in each state, and in one at a time", function()
    assert.equal(1 + 3 + 1, count_lines(read "saves"))
    assert.equal("", read "clashes")
  end)

  it("leaves the framework and busted out", function()
    for _, name in ipairs { "checks.lua", "core.lua", "test_main.lua", "app_module.lua" } do
      assert.is_nil(stats:find("\n" .. name, 1, true))
    end
    assert.is_truthy(stats:find("\nexcluded:", 1, true))
  end)

  it("is -c, too, and takes a file of options", function()
    local path = directory .. "/options"
    result = run { "-c", "--coverage-config-file", path }
    assert.equal(0, result.code, result.out .. result.err)
    assert.equal((path .. "\n"):rep(5), read "configs")
    assert.equal("report\n", read "reports")
  end)

  it("is off without the word", function()
    assert.equal(0, run({}).code)
    assert.equal(0, run({ "--no-coverage" }).code)
    assert.equal("", read "saves" .. read "stats")
  end)

  it("says what is missing", function()
    if package.searchpath("luacov.runner", package.path) then pending "luacov is installed" end
    for _, word in ipairs { "--coverage", "-c" } do
      result = run({ word }, "empty")
      assert.equal(2, result.code)
      assert.equal("", result.out)
      assert.equal("perilune: --coverage: luacov is not installed: install it with"
        .. " `luarocks install luacov`\n", result.err)
    end
  end)

  it("says that there is no such file of options", function()
    result = run { "-c", "--coverage-config-file", "nowhere" }
    assert.equal(2, result.code)
    assert.equal("perilune: --coverage: there is no file nowhere\n", result.err)
  end)
end)
