-- coroutines.lua - cases of coroutines of the app, and of waits in odd places, by name.
--
-- As waits.lua: functions that raise when something is wrong, run in a spec's fiber and in a pool.
-- What has no wait in it behaves as in plain Lua 5.4; where Perilune differs, a case says so.

local assert = require "luassert"
local async = require "perilune.async"

local cases = {}

local function sleep() async.sleep(0.001) end

local function message(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(err)
end

local function closing(fn)
  return setmetatable({}, { __close = fn })
end

-- --- waits in odd places ------------------------------------------------------------------------

cases["a wait inside a wrapped iterator"] = function()
  local function each(n)
    return coroutine.wrap(function()
      for i = 1, n do
        sleep()
        coroutine.yield(i, -i)
      end
    end)
  end
  local seen = {}
  for i, minus in each(3) do
    sleep()
    seen[#seen + 1] = i + minus * 10
  end
  assert.same({ -9, -18, -27 }, seen)
end

cases["a wait inside a plain iterator"] = function()
  local function step(last, at)
    sleep()
    if at < last then return at + 1 end
  end
  local sum = 0
  for i in step, 4, 0 do sum = sum + i end
  assert.equal(10, sum)
end

cases["a wait inside metamethods"] = function()
  local function slowly(value)
    return function()
      sleep()
      return value
    end
  end
  local stored
  local meta = {
    __index = function(_, key) sleep() return key .. "!" end,
    __newindex = function(_, key, value) sleep() stored = { key, value } end,
    __call = function(_, ...) sleep() return ... end,
    __add = slowly "add", __concat = slowly "concat", __unm = slowly "unm", __len = slowly(7),
    __eq = slowly(true), __lt = slowly(true), __le = slowly(false), __idiv = slowly "idiv",
  }
  local a, b = setmetatable({}, meta), setmetatable({}, meta)
  assert.equal("x!", a.x)
  a.y = 1
  assert.same({ "y", 1 }, stored)
  assert.same({ 1, 2 }, { a(1, 2) })
  assert.same({ "add", "concat", "unm", 7, "idiv" }, { a + b, a .. b, -a, #a, a // b })
  assert.same({ true, true, false, false }, { a == b, a < b, a <= b, a ~= b })
end

cases["a wait inside close handlers"] = function()
  local order = {}
  do
    local _ <close> = closing(function() sleep() order[#order + 1] = "one" end)
    local _ <close> = closing(function() sleep() order[#order + 1] = "two" end)
    sleep()
  end
  assert.same({ "two", "one" }, order)
  pcall(function()
    local _ <close> = closing(function() sleep() order[#order + 1] = "three" end)
    error "left"
  end)
  assert.equal("three", order[3])
end

cases["a wait inside pcall and xpcall"] = function()
  assert.same({ true, 1, nil, 3, n = 4 }, table.pack(pcall(function(...)
    sleep()
    return ...
  end, 1, nil, 3)))
  local problem = {}
  local ok, err = pcall(function() sleep() error(problem) end)
  assert.is_false(ok)
  assert.equal(problem, err)
  local handled = table.pack(xpcall(function(a) sleep() error(a, 0) end, function(e)
    return e .. " handled"
  end, "text"))
  assert.same({ false, "text handled", n = 2 }, handled)
  assert.same({ true, "a", "b", n = 3 }, table.pack(xpcall(function(...) sleep() return ... end,
    print, "a", "b")))
  assert.is_false(pcall(pcall))
  assert.is_false(pcall(xpcall, print))
end

cases["a wait deep below pcall, coroutine and metamethod"] = function()
  local object = setmetatable({}, { __index = function(_, key)
    local _, value = pcall(coroutine.wrap(function()
      sleep()
      coroutine.yield(key)
    end))
    return value
  end })
  assert.equal("deep", object.deep)
end

cases["a wait where Lua cannot suspend names the function"] = function()
  local said = message(table.sort, { 3, 2, 1 }, function(a, b) sleep() return a < b end)
  assert.is_truthy(said:find("async.sleep cannot wait inside 'table.sort'", 1, true), said)
  said = message(string.gsub, "x", "x", sleep)
  assert.is_truthy(said:find("cannot wait inside 'string.gsub'", 1, true), said)
  said = message(function() return ("x"):gsub("x", function()
    return coroutine.wrap(async.checkpoint)()
  end) end)
  assert.is_truthy(said:find("async.checkpoint cannot wait", 1, true), said)
  said = message(string.gsub, "x", "x", function() async.gather(sleep) end)
  assert.is_truthy(said:find("async.gather cannot wait inside 'string.gsub'", 1, true), said)
  sleep()
end

cases["a closer run by coroutine.close cannot wait, and the error says so"] = function()
  local co = coroutine.create(function()
    local _ <close> = closing(sleep)
    coroutine.yield()
  end)
  assert.is_true(coroutine.resume(co))
  local ok, err = coroutine.close(co)
  assert.is_false(ok)
  assert.is_truthy(tostring(err):find "async.sleep cannot wait.*coroutine.close", tostring(err))
end

-- --- as in Lua 5.4 ------------------------------------------------------------------------------

cases["resume and yield pass values"] = function()
  local co = coroutine.create(function(...)
    local got = table.pack(coroutine.yield(select("#", ...), ...))
    local more = table.pack(coroutine.yield(got.n))
    return "end", more[1], nil
  end)
  assert.same({ true, 3, 1, nil, 3, n = 5 }, table.pack(coroutine.resume(co, 1, nil, 3)))
  assert.same({ true, 2, n = 2 }, table.pack(coroutine.resume(co, nil, nil)))
  assert.same({ true, "end", "x", nil, n = 4 }, table.pack(coroutine.resume(co, "x")))
  assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
end

cases["status tells all four"] = function()
  local co, inside, outer
  co = coroutine.create(function()
    inside = coroutine.status(co)
    coroutine.wrap(function() outer = coroutine.status(co) end)()
    coroutine.yield()
  end)
  assert.equal("suspended", coroutine.status(co))
  coroutine.resume(co)
  assert.equal("running", inside)
  assert.equal("normal", outer)
  assert.equal("suspended", coroutine.status(co))
  coroutine.resume(co)
  assert.equal("dead", coroutine.status(co))
end

cases["an error ends a coroutine"] = function()
  local problem = {}
  local co = coroutine.create(function() coroutine.yield() error(problem) end)
  coroutine.resume(co)
  local ok, err = coroutine.resume(co)
  assert.is_false(ok)
  assert.equal(problem, err)
  assert.equal("dead", coroutine.status(co))
  assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  co = coroutine.create(function() sleep() error("after a wait", 0) end)
  assert.same({ false, "after a wait" }, { coroutine.resume(co) })
  assert.equal("dead", coroutine.status(co))
end

cases["wrap raises the errors of its function"] = function()
  local problem = { code = 1 }
  local ok, err = pcall(coroutine.wrap(function() error(problem) end))
  assert.is_false(ok)
  assert.equal(problem, err)
  local step = coroutine.wrap(function() sleep() error("text", 0) end)
  assert.is_truthy(message(step):find "text")
  assert.is_truthy(message(step):find "cannot resume dead coroutine")
  step = coroutine.wrap(function() coroutine.yield(1) end)
  assert.equal(1, step())
  assert.is_nil(step())
  assert.is_truthy(message(step):find "cannot resume dead coroutine")
end

cases["an error in wrap closes what was open"] = function()
  local closed
  pcall(coroutine.wrap(function()
    local _ <close> = closing(function(_, err) closed = err end)
    error("why", 0)
  end))
  assert.equal("why", closed)
end

cases["close runs pending closers"] = function()
  local closed = {}
  local co = coroutine.create(function()
    local _ <close> = closing(function() closed[#closed + 1] = 1 end)
    local _ <close> = closing(function() closed[#closed + 1] = 2 end)
    coroutine.yield()
  end)
  coroutine.resume(co)
  assert.same({ true, n = 1 }, table.pack(coroutine.close(co)))
  assert.same({ 2, 1 }, closed)
  assert.equal("dead", coroutine.status(co))
  assert.same({ true, n = 1 }, table.pack(coroutine.close(co)))
  assert.same({ false, "cannot resume dead coroutine" }, { coroutine.resume(co) })
  assert.is_true(coroutine.close(coroutine.create(print)))
end

cases["close gives the error of a closer"] = function()
  local co = coroutine.create(function()
    local _ <close> = closing(function() error("in the closer", 0) end)
    coroutine.yield()
  end)
  coroutine.resume(co)
  assert.same({ false, "in the closer" }, { coroutine.close(co) })
  assert.equal("dead", coroutine.status(co))
end

cases["close refuses what runs"] = function()
  assert.is_truthy(message(coroutine.wrap(function()
    coroutine.close(coroutine.running())
  end)):find "cannot close a running coroutine")
  local co
  co = coroutine.create(function()
    return message(coroutine.wrap(function() coroutine.close(co) end))
  end)
  local _, said = coroutine.resume(co)
  assert.is_truthy(said:find "cannot close a normal coroutine")
end

cases["a running coroutine cannot be resumed"] = function()
  local co
  co = coroutine.create(function() return coroutine.resume(co) end)
  assert.same({ true, false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
  co = coroutine.create(function()
    return coroutine.wrap(function() return coroutine.resume(co) end)()
  end)
  assert.same({ true, false, "cannot resume non-suspended coroutine" }, { coroutine.resume(co) })
end

cases["running and isyieldable"] = function()
  local outside, is_main = coroutine.running()
  assert.equal("thread", type(outside))
  assert.is_false(is_main)
  assert.equal(outside, (coroutine.running()))
  local co, inside, yieldable
  co = coroutine.create(function()
    inside = coroutine.running()
    yieldable = coroutine.isyieldable()
  end)
  coroutine.resume(co)
  assert.equal(co, inside)
  assert.is_true(yieldable)
  assert.is_false(coroutine.isyieldable())
end

cases["yields pass through pcall, metamethods and iterators"] = function()
  local object = setmetatable({}, { __index = function(_, key) return coroutine.yield(key) end })
  local function each() return function(_, i) return coroutine.yield(i) end, nil, 0 end
  local co = coroutine.wrap(function()
    local ok, value = pcall(function() return object.name end)
    local seen = { ok, value }
    for i in each() do seen[#seen + 1] = i end
    return seen
  end)
  assert.equal("name", co())
  assert.equal(0, co "got")
  assert.equal(5, co(5))
  assert.same({ true, "got", 5 }, co(nil))
end

cases["arguments are checked"] = function()
  for _, fn in ipairs { coroutine.create, coroutine.wrap, coroutine.resume, coroutine.status,
    coroutine.close } do
    assert.is_false(pcall(fn, 7))
  end
end

cases["coroutines nest"] = function()
  local function nest(depth)
    if depth == 0 then
      sleep()
      return "bottom"
    end
    return coroutine.wrap(nest)(depth - 1)
  end
  assert.equal("bottom", nest(60))
  assert.is_truthy(message(nest, 250):find "C stack overflow")
  assert.equal("bottom", nest(60))
end

-- --- coroutines and fibers ----------------------------------------------------------------------

cases["a yield outside of the app's coroutines raises"] = function()
  local said = message(coroutine.yield, 1)
  assert.is_truthy(said:find("coroutine.yield outside of a coroutine of the app", 1, true), said)
end

cases["a coroutine inside a wait is normal, and left alone"] = function()
  local gate = false
  local function wait_for_gate()
    while not gate do async.checkpoint() end
    return "through"
  end
  local co = coroutine.create(wait_for_gate)
  local step = coroutine.wrap(wait_for_gate)
  local first = async.spawn(function() return coroutine.resume(co) end)
  local second = async.spawn(function() return step() end)
  async.checkpoint()
  async.checkpoint()
  assert.equal("normal", coroutine.status(co))
  local ok, err = coroutine.resume(co)
  assert.is_false(ok)
  assert.is_truthy(err:find "is waiting in task", err)
  assert.is_truthy(message(coroutine.close, co):find "is waiting")
  assert.is_truthy(message(step):find "is waiting")
  gate = true
  assert.same({ true, "through" }, { first:wait() })
  assert.equal("through", second:wait())
  assert.equal("dead", coroutine.status(co))
end

cases["a coroutine is resumed by one fiber after the other"] = function()
  local step = coroutine.wrap(function()
    for i = 1, 4 do
      sleep()
      coroutine.yield(i)
    end
  end)
  local seen = {}
  for i = 1, 4 do seen[i] = async.gather(step) end
  assert.same({ 1, 2, 3, 4 }, seen)
end

cases["two fibers wait in coroutines of their own"] = function()
  local function sum()
    local total = 0
    for i in coroutine.wrap(function() for i = 1, 10 do sleep() coroutine.yield(i) end end) do
      total = total + i
    end
    return total
  end
  assert.same({ 55, 55, 55 }, { async.gather(sum, sum, sum) })
end

cases["a generator keeps a timeout open between yields"] = function()
  local step = coroutine.wrap(function()
    async.timeout(60, function()
      coroutine.yield(1)
      sleep()
      coroutine.yield(2)
    end)
    coroutine.yield(3)
  end)
  assert.equal(1, step())
  sleep()
  assert.equal(2, step())
  assert.equal(3, step())
end

cases["a timeout inside a generator ends it, not its user"] = function()
  local step = coroutine.wrap(function()
    coroutine.yield "first"
    async.timeout(0.01, function() async.sleep(60) end)
  end)
  assert.equal("first", step())
  local ok, err = pcall(step)
  assert.is_false(ok)
  assert.equal("timeout", err.kind)
  sleep()
end

cases["a failed coroutine leaves its lines in the traceback"] = function()
  local function culprit() error "boom" end
  local task = async.spawn(function()
    local step = coroutine.wrap(function() culprit() end)
    step()
    return "no tail call"
  end)
  pcall(task.wait, task)
  assert.is_truthy(task.traceback:find "culprit", task.traceback)
end

return cases
