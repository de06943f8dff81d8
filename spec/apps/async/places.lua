-- places.lua - cases of gather, group, timeout and the like in odd places, by name.
--
-- As coroutines.lua, which has the plain waits: each operation in each place from where Lua code
-- can be suspended, and what is said where it cannot.

local assert = require "luassert"
local async = require "perilune.async"

local prefix = (...):match "^(.-)%w+$"
local expect = require(prefix .. "expect")

local LONG, SHORT = expect.LONG, 0.002
local closing, echo, fails_with = expect.closing, expect.echo, expect.fails_with
local misuse, sleep_long = expect.misuse, expect.sleep_long

local cases = {}

--- Each gives its argument after a wait.
local operations = {
  gather = function(x) return (async.gather({ echo, x }, echo)) end,
  settle = function(x) return async.settle({ { echo, x } })[1].value end,
  race = function(x) return select(2, async.race({ echo, x }, sleep_long)) end,
  any = function(x) return select(2, async.any({ error, "x" }, { echo, x })) end,
  map = function(x) return async.map({ x, x }, echo, { limit = 1 })[2] end,
  group = function(x)
    return async.group(function(group)
      group:spawn(echo)
      return group:spawn(echo, x):wait()
    end)
  end,
  timeout = function(x)
    fails_with("timeout", async.timeout, SHORT, sleep_long)
    return async.timeout(LONG, echo, x)
  end,
  shield = function(x) return async.shield(echo, x) end,
  ["task:wait"] = function(x) return async.spawn(echo, x):wait() end,
}

--- Calls fn in a metamethod, which `use` leads to.
local function with_meta(event, use)
  return function(fn)
    local result
    local meta = { [event] = function()
      result = fn()
      return true
    end }
    use(setmetatable({}, meta), setmetatable({}, meta))
    return result
  end
end

--- The first result of a protected call, whose error is raised again.
local function pass_on(ok, result)
  if not ok then error(result, 0) end
  return result
end

--- Each calls fn where it stands and gives its result.
local places = {
  pcall = function(fn) return pass_on(pcall(fn)) end,
  ["pcall's error"] = function(fn) return select(2, pcall(function() error(fn(), 0) end)) end,
  xpcall = function(fn) return pass_on(xpcall(fn, function(err) return err end)) end,
  ["coroutine.wrap"] = function(fn) return coroutine.wrap(fn)() end,
  ["coroutine.resume"] = function(fn)
    return pass_on(coroutine.resume(coroutine.create(fn)))
  end,
  ["a wrapped iterator"] = function(fn)
    local results = {}
    for result in coroutine.wrap(function()
      coroutine.yield(fn())
      coroutine.yield(fn())
    end) do
      results[#results + 1] = result
      assert.equal(result, fn())
    end
    assert.equal(2, #results)
    return results[1]
  end,
  ["a plain iterator"] = function(fn)
    local results = {}
    for result in function() return #results < 2 and fn() or nil end do
      results[#results + 1] = result
    end
    return results[2]
  end,
  ["a close handler"] = function(fn)
    local result
    do
      local _ <close> = closing(function() result = fn() end)
    end
    return result
  end,
  ["a closing value of a loop"] = function(fn)
    local result
    for _ in next, {}, nil, closing(function() result = fn() end) do error "no item" end
    return result
  end,
  ["a module that is loaded"] = function(fn)
    package.loaded.places_waits, package.loaded[prefix .. "loaded"] = fn, nil
    local result = require(prefix .. "loaded").value
    package.loaded.places_waits, package.loaded[prefix .. "loaded"] = nil, nil
    return result
  end,
  __index = with_meta("__index", function(a) return a.x end),
  __newindex = with_meta("__newindex", function(a) a.x = 1 end),
  __call = with_meta("__call", function(a) a() end),
  __add = with_meta("__add", function(a, b) return a + b end),
  __unm = with_meta("__unm", function(a) return -a end),
  __len = with_meta("__len", function(a) return #a end),
  __concat = with_meta("__concat", function(a, b) return a .. b end),
  __eq = with_meta("__eq", function(a, b) return a == b end),
  __lt = with_meta("__lt", function(a, b) return a < b end),
  __le = with_meta("__le", function(a, b) return a <= b end),
}

for place, call in pairs(places) do
  cases["what waits works in " .. place] = function()
    for name, operation in pairs(operations) do
      assert.equal(name, call(function() return operation(name) end))
    end
    if place == "a module that is loaded" then return end -- a child could not load it as well
    assert.equal("deep", call(function()
      return (async.gather(function()
        return call(function() return operations.group "deep" end)
      end))
    end))
  end

  cases["cancellation gets out of " .. place] = function()
    local task = async.spawn(function() call(sleep_long) return async.checkpoint() end)
    async.checkpoint()
    assert.equal("running", task.status)
    task:cancel()
    fails_with("cancelled", task.wait, task)
    fails_with("timeout", async.timeout, SHORT, call, function() async.gather(sleep_long) end)
    fails_with("timeout", async.timeout, SHORT, call, expect.compute_forever)
    async.sleep(0)
  end
end

cases["what cannot wait names the function that is in the way, and what to do"] = function()
  local waits = { timeout = "async.sleep", shield = "async.checkpoint" }
  waits["task:wait"] = "task:wait"
  for name, operation in pairs(operations) do
    local function wait() return operation "x" end
    if name == "timeout" then wait = function() async.timeout(LONG, async.sleep, 0) end end
    local what = waits[name] or "async." .. name
    local part = what .. " cannot wait inside '%s': collect first, then wait outside of it"
    misuse(part:format "table.sort", table.sort, { 3, 2, 1 }, function(a, b)
      wait()
      return a < b
    end)
    misuse(part:format "string.gsub", string.gsub, "xyz", "%w", wait)
    misuse(part:format "string.gsub", string.gsub, "xyz", "%w", function()
      pass_on(pcall(function() pass_on(xpcall(wait, function(err) return err end)) end))
    end)
    misuse(what .. " cannot wait here", string.gsub, "x", "x", coroutine.wrap(wait))
  end
  async.sleep(0)
end

cases["what need not wait is refused in such places too, but for timeout and shield"] = function()
  local done = async.spawn(echo)
  done:wait()
  misuse("async.gather cannot wait inside 'string.gsub'", string.gsub, "x", "x", function()
    async.gather(done)
  end)
  misuse("async.group cannot wait inside", string.gsub, "x", "x", function()
    async.group(echo)
  end)
  assert.equal("in time", (string.gsub("x", "x", function()
    return async.timeout(LONG, async.shield, function() return "in time" end)
  end)))
  fails_with("timeout", async.timeout, SHORT, string.gsub, "x", "x", function()
    async.timeout(LONG, expect.compute_forever)
  end)
end

return cases
