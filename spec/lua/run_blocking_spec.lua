-- run_blocking_spec.lua - async.run_blocking, what crosses with it, timeouts of marked functions.
--
-- The cases of spec/apps/run_blocking run in the spec's own fiber, in a plain handler and in the
-- pool. What is about crossing to another state, or about the pool's threads, stands below.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = ("%s/?.lua;%s/apps/run_blocking/?.lua;%s"):format(spec, spec, package.path)

local async = require "perilune.async"
local lfs = require "lfs"
local perilune = require "perilune"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local names = {}
for name in pairs(require "cases") do names[#names + 1] = name end
table.sort(names)

local client, f, cases

setup(function()
  client = site.open "run_blocking"
  f = client.app.functions
  cases = require "cases"
end)
teardown(function() client:close() end)

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function fails_with(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  return err
end

local function state() return tostring(_G) end

describe("run_blocking in a spec", function()
  for _, name in ipairs(names) do
    it(name, function() cases[name]() end)
  end
end)

for _, place in ipairs { "plain", "blocking" } do
  describe(("run_blocking in a %s handler"):format(place), function()
    for _, name in ipairs(names) do
      it(name, function()
        assert.equal("went well", client:get(("/%s/%s"):format(place, escape(name))).body)
      end)
    end
  end)
end

describe("a function that is sent", function()
  it("runs in another state and takes copies along", function()
    assert.not_equal(tostring(_G), async.run_blocking(state))
    local n = 1
    local function add() n = n + 1 return n end
    assert.equal(2, async.run_blocking(add))
    assert.equal(2, async.run_blocking(add))
    assert.equal(1, n)
    assert.equal(2, add())
  end)

  it("keeps what closures share", function()
    local n = 0
    local function add() n = n + 1 end
    local function get() return n end
    local there, get_back, add_back = async.run_blocking(function()
      add()
      add()
      return get(), get, add
    end)
    assert.same({ 2, 0 }, { there, n })
    add_back()
    assert.same({ 3, 0 }, { get_back(), n })
  end)

  it("has the globals of the state it runs in", function()
    some_global = "of the spec" -- luacheck: ignore
    assert.same({ nil, "function" }, { async.run_blocking(function()
      return some_global, type(require) -- luacheck: ignore
    end) })
    local g = async.run_blocking(function() return _G end)
    assert.equal(_G, g)
  end)

  it("is the app's own where the app has one", function()
    local before = f.calls()
    local first = async.run_blocking({ pool = "one" }, f.count)
    local second = async.run_blocking({ pool = "one" }, function() return f.count() end)
    assert.equal(first + 1, second)
    assert.equal(before, f.calls())
    assert.equal(f.count, async.run_blocking(function(fn) return fn end, f.count))
  end)

  it("takes modules, classes, the app and marked functions by what they are", function()
    local marks, app = f.marks, client.app
    local got = table.pack(async.run_blocking(function()
      return async, require "perilune.json", app, marks.plain, marks.plain(app.name)
    end))
    assert.equal(async, got[1])
    assert.equal(require "perilune.json", got[2])
    assert.equal(client.app, got[3])
    assert.equal(f.marks.plain, got[4])
    assert.equal("run_blocking", got[5])
  end)

  it("is refused with the path to what cannot cross", function()
    local function refused(said, ...)
      local err = fails_with("transfer", async.run_blocking, ...)
      assert.equal(said .. " cannot be sent to another Lua state", tostring(err))
    end
    local connection = { socket = io.stdout }
    refused("function.upvalue connection.socket (userdata)", function() return connection end)
    local function open() return connection end
    refused("function.upvalue open.upvalue connection.socket (userdata)",
      function() return open() end)
    refused("argument 2.x (thread)", function() end, 1, { x = coroutine.create(print) })
    refused("argument 1 (function)", function() end, coroutine.wrap(print))
    refused("function (function)", coroutine.wrap(print))
    refused("result 2.deep[1] (thread)", function() return 1, { deep = { coroutine.create(print) } }
    end)
    refused("result 1.stream (function)", function() return perilune.stream(print) end)
    local object = setmetatable({}, {})
    refused("function.upvalue object (table with a metatable)", function() return object end)
  end)

  it("that uses a module the pool cannot load says so", function()
    local wait_module = wait
    package.loaded["support.wait"] = wait
    local err = fails_with("transfer", async.run_blocking, function() return wait_module end)
    assert.is_truthy(tostring(err):find("'support.wait' was sent to a Lua state that cannot", 1,
      true), tostring(err))
  end)
end)

describe("the pool", function()
  it("is the one that is named, else that of a marked function, else the default", function()
    if os.getenv "STRESS" == "1" then return pending "threads that are idle end too soon" end
    local one = async.run_blocking({ pool = "one" }, state)
    local two = async.run_blocking({ pool = "two" }, state)
    assert.not_equal(one, two)
    assert.equal(one, async.run_blocking({ pool = "one" }, state))
    assert.equal(one, (async.run_blocking(f.marks.in_one)))
    assert.equal(one, (f.marks.in_one()))
    assert.equal(two, (async.run_blocking({ pool = "two" }, f.marks.in_one)))
    local default = async.run_blocking(state)
    assert.is_true(default ~= one and default ~= two)
  end)

  it("that is not there is an error at the caller's line", function()
    local _, err = pcall(function() return (async.run_blocking({ pool = "three" }, state)) end)
    assert.is_truthy(err:find "run_blocking_spec.lua:%d+: there is no pool 'three' in this app$",
      err)
  end)

  it("that is full raises kind full", function()
    local path = os.tmpname()
    local function hold(file)
      local out = assert(io.open(file, "w"))
      out:write "running"
      out:close()
      while io.open(file) do async.sleep(0.001) end
    end
    local one = { pool = "one" }
    local running = async.spawn(async.run_blocking, one, hold, path)
    wait.wait_until(function() return program.read(path) == "running" end, nil, "the thread")
    local queued = async.spawn(async.run_blocking, one, state)
    async.checkpoint()
    async.checkpoint()
    local err = fails_with("full", async.run_blocking, one, state)
    assert.equal("the queue of pool 'one' is full", tostring(err))
    os.remove(path)
    running:wait()
    assert.equal("string", type(queued:wait()))
  end)

  --- A path, and a function that computes until it is ended; it leaves the file when it is.
  local function closing()
    local path = os.tmpname()
    os.remove(path)
    return path, function()
      local _ <close> = setmetatable({}, { __close = function()
        io.open(path, "w"):close()
      end })
      while true do pcall(string.rep, "x") end
    end
  end

  local function is_there(path)
    local file = io.open(path)
    if file then file:close() end
    return file ~= nil
  end

  it("has its thread back when the time is over", function()
    local path, compute = closing()
    fails_with("timeout", async.run_blocking, { pool = "one", timeout = 0.05 }, compute)
    assert.equal("string", type(async.run_blocking({ pool = "one" }, state)))
    assert.is_true(is_there(path))
    os.remove(path)
  end)

  it("has its thread back when the caller is cancelled", function()
    local path, compute = closing()
    local begun = os.tmpname()
    os.remove(begun)
    local task = async.spawn(async.run_blocking, { pool = "one" }, function()
      io.open(begun, "w"):close()
      compute()
    end)
    wait.wait_until(function() return is_there(begun) end, nil, "the thread")
    task:cancel()
    fails_with("cancelled", task.wait, task)
    assert.equal("string", type(async.run_blocking({ pool = "one" }, state)))
    assert.is_true(is_there(path))
    os.remove(path)
    os.remove(begun)
  end)

  it("counts the time that a call waits for a thread", function()
    local _, compute = closing()
    local task = async.spawn(async.run_blocking, { pool = "one" }, compute)
    async.checkpoint()
    async.checkpoint()
    fails_with("timeout", async.run_blocking, { pool = "one", timeout = 0.05 }, state)
    task:cancel()
    pcall(task.wait, task)
  end)
end)

describe("a marked function with a timeout", function()
  it("ends with kind timeout, awaited or scheduled", function()
    local err = fails_with("timeout", f.marks.sleeps)
    assert.equal("timeout after 0.05 s", tostring(err))
    assert.equal("in time", f.marks.in_time())
    fails_with("timeout", f.marks.computes)
    assert.equal("string", type(async.run_blocking({ pool = "one" }, state)))
    assert.same({ ok = false, kind = "timeout", status = "failed" },
      client:get("/scheduled_timeout"):json())
    fails_with("timeout", async.run_blocking, f.marks.sleeps)
    fails_with("timeout", async.run_blocking, { timeout = 60 }, f.marks.sleeps)
    err = fails_with("timeout", async.run_blocking, { timeout = 0.01 }, f.marks.sleeps)
    assert.equal("timeout after 0.01 s", tostring(err))
  end)

  it("ends so inside the pool, too", function()
    local marks = f.marks
    assert.same({ "timeout", "in time" }, { async.run_blocking(function()
      local _, err = pcall(marks.sleeps)
      return err.kind, marks.in_time()
    end) })
  end)
end)

describe("while the app loads", function()
  it("the pool is there", function()
    assert.equal("loaded in the pool", client.app.loaded_by)
    assert.equal("loaded in the pool", client:get("/loaded_by").body)
  end)

  it("its own pools are not, and the error names on_start", function()
    local directory = program.make_directory { ["app.lua"] = [[
local async = require "perilune.async"
local app = require("perilune").app { pools = { video = { threads = 1 } } }
async.run_blocking({ pool = "video" }, function() end)
return app
]] }
    local result = program.run { "serve", directory, "--port", "0" }
    program.remove_directory(directory)
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find(
      "app.lua:3: there is no pool 'video' while the app loads: use app:on_start", 1, true),
      result.err)
  end)
end)

describe("specs", function()
  it("need an open client for it", function()
    local directory = program.make_directory {
      ["app.lua"] = [[
return require("perilune").app {}
]] }
    assert(lfs.mkdir(directory .. "/spec"))
    local file = assert(io.open(directory .. "/spec/some_spec.lua", "w"))
    file:write [[
local async = require "perilune.async"
local test = require "perilune.test"
it("runs", function()
  local ok, err = pcall(async.run_blocking, function() end)
  assert.is_false(ok)
  assert.equal("async.run_blocking needs the pools of an app, and none is loaded here: in specs, "
    .. "open a test client first", err)
  local client = test.client()
  assert.equal(5, async.run_blocking(function() return 5 end))
  client:close()
  ok, err = pcall(async.run_blocking, function() end)
  assert.is_false(ok)
  assert.equal("pool 'default' has ended: the app is not served any more", err)
end)
]]
    file:close()
    local result = program.run { "test", directory }
    program.remove_directory(directory .. "/spec")
    program.remove_directory(directory)
    assert.equal(0, result.code, result.out .. result.err)
    assert.is_truthy(result.out:find("1 passed, 0 failed", 1, true), result.out)
  end)
end)

describe("a module that only the pool has loaded", function()
  it("is required where it arrives", function()
    assert.same({ same = true, here = true }, client:get("/modules_of_pool"):json())
  end)
end)

describe("a server", function()
  local server

  setup(function() server = site.start "run_blocking" end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  it("runs closures of its handlers in the pool", function()
    local got = server:get("/greet/Ann?x=1"):json()
    assert.same({ text = "Hello, Ann!", app = "run_blocking", is_elsewhere = true,
      encoded = '["1"]' }, got)
    assert.equal("loaded in the pool", server:get("/loaded_by").body)
    assert.same({ "WORD" }, server:post("/scheduled", { body = "word" }):json())
  end)

  it("runs the app's functions with the upvalues of the pool", function()
    local first = server:get("/counts"):json()
    local second = server:get("/counts"):json()
    assert.equal(first.theirs + 1, second.theirs)
    assert.same({ 0, 23, 10 }, { second.ours, second.copied, second.n })
  end)

  it("requires modules where they are named, and waits for them", function()
    assert.same({ is_elsewhere = true, name = "waits", same = true }, server:get("/modules"):json())
    assert.equal(500, server:get("/broken").status)
    wait.for_log(server, "target=/broken [^\n]*module 'broken' was sent to a Lua state that cannot "
      .. "load it %(spec/apps/run_blocking/broken.lua:5: not here%)")
  end)

  it("runs many at once", function()
    local tasks = {}
    for i = 1, 20 do tasks[i] = async.spawn(server.get, server, "/greet/" .. i) end
    for i = 1, 20 do assert.equal(("Hello, %d!"):format(i), tasks[i]:wait():json().text) end
  end)

  it("says in its log what went wrong", function()
    assert.equal(500, server:get("/refused").status)
    wait.for_log(server, "target=/refused [^\n]*function.upvalue connection.socket %(userdata%)")
    assert.equal(500, server:get("/no_pool").status)
    wait.for_log(server, "target=/no_pool [^\n]*app.lua:%d+: there is no pool 'three' in this app")
    assert.equal(500, server:get("/timed_out").status)
    wait.for_log(server, "target=/timed_out [^\n]*timeout after 0.05 s")
    assert.equal(500, server:get("/fails").status)
    local traceback = wait.for_log(server, "target=/fails [^\n]*deep in the pool[^\n]*\n(.*)")
    assert.is_truthy(traceback:find "in upvalue 'culprit'.*called from:.*run_blocking.*app.lua:%d+",
      traceback)
  end)
end)
