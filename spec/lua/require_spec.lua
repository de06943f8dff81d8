-- require_spec.lua - require, load and loadfile: the app's modules, waits, circles, failures.
--
-- The spec's state has spec/apps/require loaded, so require is called from here as from a handler.
-- Bytecode is written into temporary apps; nothing of it may ever run.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local program = require "support.program"
local site = require "support.site"
local test = require "perilune.test"

local client, gates

before_each(function()
  client = site.open "require"
  gates = client.app.gates
end)
after_each(function() client:close() end)

describe("require", function()
  it("finds modules in the app's directory", function()
    assert.equal("user", client:get("/user").body)
    local user = require "models.user"
    assert.equal("models.user", user.module)
    assert.equal("models/user.lua", user.path:match "models/user.lua$")
    assert.equal(user, require "models.user")
    assert.equal(user, package.loaded["models.user"])
  end)

  it("finds a module that is a directory", function()
    assert.equal("shop of user", require("shop").value)
  end)

  it("works in handlers, plain and blocking", function()
    for _, prefix in ipairs { "", "/blocking" } do
      local seen = client:get(prefix .. "/require/shop"):json()
      assert.same({ ok = true, text = "shop of user" }, seen)
      seen = client:get(prefix .. "/require/circle_a"):json()
      assert.is_false(seen.ok)
    end
  end)

  it("runs a module once, whatever it returns", function()
    assert.is_true(require "nothing")
    assert.is_true(require "nothing")
    assert.equal(1, gates.runs.nothing)
    assert.equal("own", require "own_value")
    assert.equal("own", require "own_value")
  end)

  it("runs a module again whose value is false or was taken away", function()
    assert.is_false(require "is_false")
    assert.is_false(require "is_false")
    assert.equal(2, gates.runs.is_false)
    require "nothing"
    package.loaded.nothing = nil
    require "nothing"
    assert.equal(2, gates.runs.nothing)
  end)

  it("gives what package.loaded and package.preload have", function()
    package.loaded.made_up = "made up"
    assert.equal("made up", require "made_up")
    package.loaded.made_up = nil
    package.preload.made_up = function(...) return { ... } end
    assert.same({ "made_up", ":preload:" }, require "made_up")
    package.preload.made_up, package.loaded.made_up = nil, nil
    assert.equal(string, require "string")
    assert.equal(_G, require "_G")
  end)

  it("says where it looked for a module that is not there", function()
    local ok, err = pcall(require, "not.there")
    assert.is_false(ok)
    assert.is_truthy(err:find "module 'not.there' not found", err)
    assert.is_truthy(err:find "not/there.lua", err)
    assert.is_false(pcall(require, "../app"))
    assert.is_false(pcall(require, ""))
    assert.is_false(pcall(require, "a..b"))
    assert.is_false(pcall(require))
  end)

  it("of a circle is an error, and each module can be required later", function()
    for _ = 1, 2 do
      local ok, err = pcall(require, "circle_a")
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find "module 'circle_a' requires itself", tostring(err))
      assert.is_nil(package.loaded.circle_a)
      assert.is_nil(package.loaded.circle_b)
    end
  end)

  it("raises the error of a module, and tries again the next time", function()
    local ok, err = pcall(require, "failing")
    assert.is_false(ok)
    assert.same({ code = "first" }, err)
    assert.is_nil(package.loaded.failing)
    assert.equal("second", require("failing").value)
  end)
end)

describe("a module that waits while it loads", function()
  local function three()
    local tasks = {}
    for i = 1, 3 do tasks[i] = async.spawn(require, "slow") end
    async.checkpoint()
    async.checkpoint()
    for i = 1, 3 do assert.equal("running", tasks[i].status) end
    assert.equal(1, gates.runs.slow)
    return table.unpack(tasks)
  end

  it("is run by one fiber; the others wait for it", function()
    local first, second, third = three()
    gates.open.slow = true
    assert.equal("slow", first:wait().value)
    assert.equal(first:wait(), second:wait())
    assert.equal(first:wait(), third:wait())
    assert.equal(1, gates.runs.slow)
  end)

  it("and fails is run again by those that waited", function()
    local first, second, third = three()
    gates.open.slow = "fail"
    for _, task in ipairs { first, second, third } do
      local ok, err = pcall(task.wait, task)
      assert.is_false(ok)
      assert.is_truthy(tostring(err):find "slow failed")
    end
    gates.open.slow = true
    assert.equal("slow", require("slow").value)
    assert.equal(4, gates.runs.slow)
  end)

  it("is run by the next when the first is cancelled", function()
    local first, second, third = three()
    first:cancel()
    assert.is_false(pcall(first.wait, first))
    third:cancel()
    assert.is_false(pcall(third.wait, third))
    gates.open.slow = true
    assert.equal("slow", second:wait().value)
    local runs = gates.runs.slow
    assert.is_true(runs == 2 or runs == 3, "the third may have run it too before its cancel")
  end)

  it("does not keep requests waiting", function()
    local task = async.spawn(client.get, client, "/require/slow")
    while gates.runs.slow ~= 1 do async.checkpoint() end
    assert.equal("user", client:get("/user").body)
    gates.open.slow = true
    assert.same({ ok = true, text = "slow" }, task:wait():json())
  end)
end)

describe("bytecode", function()
  local bytecode = string.dump(load "return 'it ran'")
  local directory

  before_each(function()
    directory = program.make_directory {
      ["app.lua"] = 'return (require "perilune").app {}\n', ["compiled.lua"] = bytecode,
    }
  end)
  after_each(function() program.remove_directory(directory) end)

  it("is refused by load, whatever its mode", function()
    for _, mode in ipairs { "b", "bt", "t" } do
      local fn, err = load(bytecode, "chunk", mode)
      assert.is_nil(fn)
      assert.is_truthy(err:find "attempt to load a binary chunk", err)
    end
    assert.is_nil(load(bytecode))
    local given = false
    assert.is_nil(load(function()
      if given then return nil end
      given = true
      return bytecode
    end))
  end)

  it("is refused by loadfile and dofile", function()
    local path = directory .. "/compiled.lua"
    for _, mode in ipairs { "b", "bt", "t" } do assert.is_nil(loadfile(path, mode)) end
    assert.is_nil(loadfile(path))
    local ok, err = pcall(dofile, path)
    assert.is_false(ok)
    assert.is_truthy(err:find "attempt to load a binary chunk", err)
  end)

  it("is refused by require, in the app's directory and on package.path", function()
    client:close()
    client = test.client(directory)
    local ok, err = pcall(require, "compiled")
    assert.is_false(ok)
    assert.is_truthy(err:find "attempt to load a binary chunk", err)
    client:close()
    client = site.open "require"
    local path = package.path
    package.path = directory .. "/?.lua"
    ok, err = pcall(require, "compiled")
    package.path = path
    assert.is_false(ok)
    assert.is_truthy(err:find "attempt to load a binary chunk", err)
  end)

  it("text is still loaded, as in plain Lua", function()
    assert.equal("x", load("return x", "chunk", "t", { x = "x" })())
    assert.equal(7, load("return ...")(7))
    local fn, err = load "return +"
    assert.is_nil(fn)
    assert.is_truthy(err:find "unexpected symbol")
    assert.equal("function", type(loadfile(directory .. "/app.lua")))
    local env = {}
    local path = directory .. "/compiled.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write "name = 'set'"
    file:flush()
    loadfile(path, "t", env)()
    assert.equal("set", env.name)
    assert.is_nil(load("return x", "chunk", "t", {})())
  end)
end)
