-- blocking_spec.lua - functions that run in the thread pool: calls, errors, values, queues, marks.
--
-- spec/apps/blocking is loaded into the spec's own state, so its functions are called from here as
-- from a handler; what belongs to routes and the log goes over HTTP. Threads are held by files that
-- the spec removes, never for a guessed time.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local client, f

setup(function()
  client = site.open "blocking"
  f = client.app.functions
end)
teardown(function() client:close() end)

local paths = {}

--- A path where no file is; one that is there at the end of the spec is removed.
local function new_path()
  local path = os.tmpname()
  os.remove(path)
  paths[#paths + 1] = path
  return path
end

after_each(function()
  while #paths > 0 do os.remove(table.remove(paths)) end
end)

local function until_file(path, text)
  wait.wait_until(function() return program.read(path) == text end, nil, "the thread's file")
end

local function fails_with(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  return err
end

describe("a call", function()
  it("gives results, holes and all", function()
    assert.same({ n = 5, 1, nil, "x", nil, nil }, table.pack(f.echo(1, nil, "x", nil, nil)))
    assert.equal(3, f.count(nil, nil, nil))
    assert.equal(0, f.count())
    assert.same({ n = 0 }, table.pack(f.nothing()))
    assert.equal("function", type(f.echo))
  end)

  it("raises the error of the function", function()
    assert.same({ false, "text" }, { pcall(f.fail, "text") })
    assert.same({ false, "with\0NUL" }, { pcall(f.fail, "with\0NUL") })
    assert.same({ false, 7 }, { pcall(f.fail, 7) })
    local _, err = pcall(f.fail_here, "text")
    assert.is_truthy(err:find "apps/blocking/app.lua:%d+: text$", err)
    assert.same({ false, { code = 7, deep = { "x" } } }, { pcall(f.fail,
      { code = 7, deep = { "x" } }) })
    assert.is_false(pcall(f.fail, nil))
  end)

  it("raises errors with their kind, text and fields", function()
    local err = fails_with("timeout", f.time_out)
    assert.is_truthy(tostring(err):find "timeout after 0.001")
    err = fails_with("abort", f.abort, 404, { field = "x" })
    assert.equal(404, err.status)
    assert.same({ field = "x" }, err.detail)
    local _, object = pcall(f.fail_object)
    assert.equal("code 7", tostring(object))
    assert.equal(7, object.code)
  end)

  it("raises an error with what failed beside it, joined with what fails here", function()
    local _, err = pcall(async.gather, { f.fail_together, "there" }, function()
      pcall(async.sleep, 60)
      error("here", 0)
    end)
    assert.same({ name = "there", others = { "there too", "here" } }, err)
  end)

  it("gives lists with their n", function()
    local doubled = f.map_double(table.pack(1, nil, 3))
    assert.same({ n = 3, 2, nil, 6 }, doubled)
    assert.equal("[2,null,6]", json.encode(doubled))
    assert.equal("[]", json.encode(f.map_double {}))
  end)

  it("raises an error even where its fields cannot cross", function()
    local _, err = pcall(f.fail_strangely)
    assert.equal(7, err.code)
    assert.is_truthy(err.where:find "builtin" or err.where:find "function")
    assert.equal(print, err.print)
    assert.is_truthy(err.deep[1]:find "file")
  end)

  it("runs inline in a thread of its pool, and in another one when it names that", function()
    local above, below, of_two = f.state_below()
    assert.equal(above, below)
    assert.not_equal(above, of_two)
    assert.not_equal(tostring(_G), above)
    assert.same({ 2, 2, "x", nil, n = 4 }, table.pack(f.passed("x", nil)))
    assert.same({ false, "bottom" }, { pcall(f.nested, 50) })
  end)

  it("runs beside others", function()
    local one, two = new_path(), new_path()
    assert.same({ "met", "met" }, { async.gather({ f.meet, one, two }, { f.meet, two, one }) })
  end)

  it("ends what it spawned", function()
    local path = new_path()
    assert.equal("parent ended", f.leave_children(path))
    assert.equal("", program.read(path))
    assert.equal("quick", f.quick())
  end)

  it("leaves the globals and locals of other states alone", function()
    local before, hidden_before = f.calls_here()
    local first = f.add_call()
    local global, hidden = f.add_call()
    assert.same({ first + 1, first + 1 }, { global, hidden })
    assert.same({ before, hidden_before }, { f.calls_here() })
    local seen = client:get("/calls"):json()
    assert.same({ first + 2, first + 2, before, hidden_before }, seen)
  end)
end)

describe("a value", function()
  it("keeps its type", function()
    local values = table.pack(nil, true, false, 1, 1.0, -0.0, math.maxinteger, math.mininteger,
      "", "a\0b", perilune.null, {})
    assert.same({ n = 12, "nil", "boolean", "boolean", "integer", "float", "float", "integer",
      "integer", "string", "string", "null", "table" }, f.types(table.unpack(values, 1, 12)))
    local back = table.pack(f.echo(table.unpack(values, 1, 12)))
    assert.same(values, back)
    for i = 4, 8 do assert.equal(math.type(values[i]), math.type(back[i])) end
    assert.equal(-math.huge, 1 / back[6])
    assert.equal(perilune.null, back[11])
    local nan = f.echo(0 / 0)
    assert.not_equal(nan, nan)
    assert.equal(math.huge, f.echo(math.huge))
  end)

  it("keeps cycles and shared tables", function()
    local shared = {}
    local t = { left = shared, right = shared }
    t.self, shared.up = t, t
    assert.same({ true, true, true }, { f.shape(t) })
    local back = f.echo(t)
    assert.equal(back, back.self)
    assert.equal(back.left, back.right)
    assert.equal(back, back.left.up)
    assert.not_equal(t, back)
    local one, two = f.echo(shared, shared)
    assert.equal(one, two)
  end)

  it("keeps tables with holes and odd keys", function()
    local t = { 1, nil, 3, [10] = "ten", [2.5] = "x", [true] = "y", [-1] = "z", ["\0"] = "NUL" }
    assert.same(t, f.echo(t))
    local big = {}
    for i = 1, 10000 do big[i] = { i, tostring(i) } end
    assert.same(big, f.echo(big))
    assert.equal(("x"):rep(1 << 20), f.echo(("x"):rep(1 << 20)))
  end)

  it("keeps marks of arrays and null", function()
    assert.equal("[]", f.encode(json.array {}))
    assert.equal("{}", f.encode {})
    assert.equal('{"a":[],"b":null}', f.encode(f.echo(json.decode('{"b":null}', { null = true })))
      :gsub('{"b"', '{"a":[],"b"'))
    assert.equal("[]", json.encode(f.decode "[]"))
    assert.equal("[[],[1]]", json.encode(f.echo(json.decode "[[],[1]]")))
  end)

  it("may be a function, as argument, in a table, as result and in an error", function()
    local n = 1
    local function add(by) return n + by end
    assert.equal(3, f.call(add, 2))
    local t = f.echo { add, print, [add] = "key", twice = add }
    assert.equal(4, t[1](3))
    assert.equal(t[1], t.twice)
    assert.equal("key", t[t[1]])
    assert.equal(print, t[2])
    assert.equal(f.echo, f.echo(f.echo))
    assert.equal("inline", f.call(f.echo, "inline"))
    local _, err = pcall(f.fail, { add = add })
    assert.equal(6, err.add(5))
  end)

  it("that cannot cross is refused with its path", function()
    local function refused(said, fn, ...)
      local err = fails_with("transfer", fn, ...)
      assert.is_truthy(tostring(err):find(said, 1, true), tostring(err))
    end
    refused("argument 2.db (userdata) cannot be sent to another Lua state", f.echo, 1,
      { db = io.stdout })
    refused("argument 1 (thread)", f.echo, coroutine.create(print))
    refused("argument 1.list[3].x (thread)", f.echo,
      { list = { 1, 2, { x = coroutine.create(print) } } })
    refused("argument 1 (table with a metatable)", f.echo, setmetatable({}, {}))
    refused("result 2.deep[1] (function)", f.return_function)
    refused("result 1 (thread)", f.return_thread)
    assert.equal("fine", f.echo "fine")
  end)
end)

describe("a full queue", function()
  --- Calls fn with a task that has the only thread of the pool and one that has its queue.
  local function with_full_pool(fn)
    local path = new_path()
    local running = async.spawn(f.hold, path)
    until_file(path, "running")
    local queued = async.spawn(f.quick)
    async.checkpoint()
    async.checkpoint()
    assert.equal("running", queued.status)
    fn(queued)
    os.remove(path)
    assert.equal("let go", running:wait())
    return queued
  end

  it("raises kind full, and is 503 for a route", function()
    local queued = with_full_pool(function()
      local err = fails_with("full", f.quick)
      assert.is_truthy(tostring(err):find "the queue of pool 'one' is full")
      for _, path in ipairs { "/quick", "/full" } do
        local res = client:get(path)
        assert.equal(503, res.status)
        assert.equal("1", res.headers["retry-after"])
        assert.is_truthy(res.body:find "detail")
      end
    end)
    assert.equal("quick", queued:wait())
    assert.equal("quick", client:get("/quick").body)
  end)

  it("has room again when a waiter is cancelled", function()
    with_full_pool(function(queued)
      queued:cancel()
      fails_with("cancelled", queued.wait, queued)
      local next_one = async.spawn(f.quick)
      async.checkpoint()
      async.checkpoint()
      fails_with("full", f.quick)
      next_one:cancel()
      fails_with("cancelled", next_one.wait, next_one)
    end)
    assert.equal("quick", f.quick())
  end)
end)

describe("a cancelled call", function()
  for _, name in ipairs { "hold", "compute", "stubborn" } do
    it(("of %s is interrupted, and its thread serves on"):format(name), function()
      local path = new_path()
      local task = async.spawn(f[name], path)
      until_file(path, "running")
      task:cancel()
      fails_with("cancelled", task.wait, task)
      assert.equal("quick", f.quick())
    end)
  end

  it("by a timeout is interrupted too", function()
    fails_with("timeout", async.timeout, 0.05, f.stubborn, new_path())
    assert.equal("quick", f.quick())
  end)
end)

describe("a mark", function()
  it("made by a factory finds the function with its upvalues", function()
    for _ = 1, 3 do
      assert.same({ 14, 21 }, { f.double(7), f.triple(7) })
      assert.same({ 1, 2 }, { f.named[1](), f.named[2]() })
    end
  end)

  it("cannot be made after the load", function()
    local _, err = pcall(perilune.blocking, function() end)
    assert.is_truthy(err:find "async.run_blocking", err)
  end)

  it("checks what is marked", function()
    for _, wrong in ipairs { 7, "x", {} } do assert.is_false(pcall(perilune.blocking, wrong)) end
    local _, err = pcall(perilune.blocking, { pol = "x" }, function() end)
    assert.is_truthy(err:find 'unknown option "pol" %(did you mean "pool"%?%)', err)
    assert.is_false(pcall(perilune.blocking, { pool = 7 }, function() end))
  end)

  --- What `perilune serve` says of an app with that text, which must not load.
  local function complaint(text, options)
    local directory = program.make_directory { ["app.lua"] = ([[
local perilune = require "perilune"
local app = perilune.app %s
%s
return app
]]):format(options or "{}", text) }
    local result = program.run { "serve", directory, "--port", "0" }
    program.remove_directory(directory)
    assert.equal(1, result.code, result.err)
    return result.err
  end

  it("has a timeout above 0, or none", function()
    for _, wrong in ipairs { "0", "-1", "0/0" } do
      local err = complaint(("perilune.blocking({ timeout = %s }, print)"):format(wrong))
      assert.is_truthy(err:find('app.lua:3: option "timeout" is a number of seconds above 0', 1,
        true), err)
    end
    local err = complaint 'perilune.blocking({ timeout = "1" }, print)'
    assert.is_truthy(err:find('option "timeout" is a number, not a string', 1, true), err)
  end)

  it("that cannot be told from another is a load error", function()
    local err = complaint [[
local function make(t) return perilune.blocking(function() return t end) end
make {}
make {}]]
    assert.is_truthy(err:find "app.lua:%d+: two marked functions cannot be told apart", err)
    assert.is_truthy(err:find('perilune.blocking({ name = "..." }, fn)', 1, true), err)
  end)

  it("of a marked or a C function is a load error", function()
    local err = complaint "perilune.blocking(perilune.blocking(function() end))"
    assert.is_truthy(err:find "app.lua:3: the function is marked already", err)
    err = complaint "perilune.blocking(print)"
    assert.is_truthy(err:find "app.lua:3: a C function cannot be marked", err)
  end)

  it("and pools are checked at load", function()
    for _, pools in ipairs { "7", "{ a = 1 }", "{ a = { threads = 0 } }", "{ a = { queue = 1.5 } }",
      "{ { threads = 1 } }" } do
      assert.is_truthy(complaint("", ("{ pools = %s }"):format(pools)):find "pool", pools)
    end
  end)
end)

describe("a server", function()
  local server

  setup(function() server = site.start "blocking" end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  it("answers plain routes while the pool computes", function()
    local tasks, held = {}, {}
    for i = 1, 2 do
      held[i] = new_path()
      tasks[i] = async.spawn(server.get, server, "/compute", { query = { path = held[i] } })
    end
    for i = 1, 2 do until_file(held[i], "running") end
    for _ = 1, 20 do assert.equal("plain", server:get("/plain").body) end
    for i = 1, 2 do
      assert.equal("running", tasks[i].status)
      os.remove(held[i])
      assert.equal("let go", tasks[i]:wait().body)
    end
  end)

  it("joins the traceback of the pool with that of the handler", function()
    assert.equal(500, server:get("/fail").status)
    local traceback = wait.for_log(server, "target=/fail [^\n]*deep down[^\n]*\n(.*)")
    assert.is_truthy(traceback:find "in upvalue 'culprit'.*called from:.*app.lua:%d+", traceback)
  end)

  it("answers an abort of a blocking function", function()
    local res = server:get "/abort"
    assert.same({ 418, "1", '{"detail":"teapot"}' }, { res.status, res.headers["x-a"], res.body })
  end)

  it("says in the log that marks come too late", function()
    assert.equal(500, server:get("/mark").status)
    wait.for_log(server, "target=/mark [^\n]*app.lua:%d+: perilune.blocking marks functions while")
    assert.equal(500, server:get("/late").status)
    wait.for_log(server, "target=/late [^\n]*factory_late.lua:%d+: perilune.blocking marks")
  end)
end)

describe("an app that does not load in the pool", function()
  it("fails its calls with what went wrong, again and again", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app {}
local file = io.open(app.dir .. "/loaded")
if file then error "not twice" end
io.open(app.dir .. "/loaded", "w"):close()
app:get("/", perilune.blocking(function() return "never" end))
return app
]] }
    local server = site.start_at(directory)
    for _ = 1, 2 do assert.equal(500, server:get("/").status) end
    wait.for_log(server, "(the app did not load in a pool thread: [^\n]*app.lua:4: not twice)")
    assert.equal(0, server:stop())
    program.remove_directory(directory)
  end)
end)
