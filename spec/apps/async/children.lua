-- children.lua - cases of gather, settle, race and any, by name.
--
-- As waits.lua, which has the simple ones of gather: run in a spec's fiber, a plain handler and a
-- thread of the pool. Maps are in maps.lua, groups in groups.lua.

local assert = require "luassert"
local async = require "perilune.async"
local json = require "perilune.json"

local expect = require(((...):gsub("%w+$", "expect")))

local SHORT = expect.SHORT
local closing, echo, error_of, fail = expect.closing, expect.echo, expect.error_of, expect.fail
local fail_when_cancelled, fails_with = expect.fail_when_cancelled, expect.fails_with
local misuse, sleep_long, slow_to_end = expect.misuse, expect.sleep_long, expect.slow_to_end
local table_error, until_true = expect.table_error, expect.until_true

local cases = {}

--- What an ended task that ran fn raised.
local function failed_task(fn, ...)
  local task = async.spawn(fn, ...)
  pcall(task.wait, task)
  assert.equal("failed", task.status)
  return task
end

local function ended_task(...)
  local task = async.spawn(echo, ...)
  task:wait()
  return task
end

-- --- children -----------------------------------------------------------------------------------

local forms = {
  ["a function"] = function(value) return function() return echo(value) end end,
  ["an object that can be called"] = function(value)
    return setmetatable({}, { __call = function() return echo(value) end })
  end,
  ["a table with such an object"] = function(value)
    return { setmetatable({}, { __call = function(_, x) return echo(x) end }), value }
  end,
  ["a task"] = function(value) return async.spawn(echo, value) end,
  ["an ended task"] = ended_task,
  ["a table"] = function(value) return { echo, value } end,
  ["a table with n"] = function(value) return { echo, value, nil, n = 3 } end,
}

for form, child in pairs(forms) do
  cases["each of the four takes " .. form] = function()
    assert.same({ 1, 2 }, { async.gather(child(1), child(2)) })
    assert.same({ 1, 2 }, async.gather { child(1), child(2) })
    assert.same({ a = 1, b = 2 }, async.gather { a = child(1), b = child(2) })
    local one, two = { ok = true, value = 1 }, { ok = true, value = 2 }
    assert.same({ one, two }, async.settle(child(1), child(2)))
    assert.same({ one, two }, async.settle { child(1), child(2) })
    assert.same({ a = one, b = two }, async.settle { a = child(1), b = child(2) })
    for _, first in ipairs { async.race, async.any } do
      assert.same({ 1, "x" }, { first(child "x", sleep_long) })
      assert.same({ 2, "x" }, { first { sleep_long, child "x" } })
      assert.same({ "b", "x" }, { first { a = sleep_long, b = child "x" } })
    end
  end
end

cases["children may be of all kinds at once, under keys of all kinds"] = function()
  assert.same({ 1, 2, x = 3, [2.5] = 4, [true] = 5 }, async.gather {
    forms["a function"](1), forms["a task"](2), x = forms["a table"](3),
    [2.5] = forms["an ended task"](4), [true] = forms["a table with n"](5) })
end

cases["all four nest in each other"] = function()
  local winner, settled = async.race(
    function() return async.settle { a = function() return (async.gather { echo })[1] end } end,
    sleep_long)
  assert.equal(1, winner)
  assert.same({ a = { ok = true } }, settled)
  local lists = async.gather {
    function()
      return async.map({ 1, 2 }, function(x) return async.gather({ { echo, x } })[1] end)
    end,
    { async.settle, { { echo, 7 } } },
    function() return select(2, async.any({ { echo, "any" } })) end,
  }
  assert.same({ 1, 2, n = 2 }, lists[1])
  assert.same({ { ok = true, value = 7 } }, lists[2])
  assert.equal("any", lists[3])
end

cases["lists that come back are JSON arrays, names are objects"] = function()
  assert.equal("[]", json.encode(async.gather {}))
  assert.equal("[1]", json.encode(async.gather { { echo, 1 } }))
  assert.equal('{"a":1}', json.encode(async.gather { a = { echo, 1 } }))
  assert.equal("[]", json.encode(async.settle()))
  assert.equal("[]", json.encode(async.settle {}))
  assert.equal('[{"ok":true}]', json.encode(async.settle(echo)))
  assert.equal('{"a":{"ok":true}}', json.encode(async.settle { a = echo }))
  assert.equal("[]", json.encode(async.map({}, echo)))
  assert.equal("[1,null,3,null]", json.encode(async.map(table.pack(1, nil, 3, nil), echo)))
end

cases["nothing at all is an answer for gather and settle, a misuse for race and any"] = function()
  assert.same({ n = 0 }, table.pack(async.gather()))
  assert.same({ n = 1, {} }, table.pack(async.gather {}))
  assert.same({ n = 1, {} }, table.pack(async.settle()))
  for name in pairs { race = true, any = true } do
    local part = ("async.%s needs at least one function or task"):format(name)
    for _, children in ipairs { {}, { {} } } do
      local err = misuse(part, function()
        async[name](table.unpack(children))
        return "no tail call"
      end)
      assert.is_truthy(err:find "children.lua:%d+: ", err)
    end
  end
end

cases["what is no child is named, for all four, and nothing is started"] = function()
  local started = false
  local function start() started = true end
  for _, name in ipairs { "gather", "settle", "race", "any" } do
    local what = ("async.%s takes functions, tasks and tables { fn, args... }; "):format(name)
    misuse(what .. "2 is a number", async[name], start, 7)
    misuse(what .. "x is a boolean", async[name], { start, x = true })
    misuse(what .. "2 is a table", async[name], start, { 1 })
    misuse("bad argument #1", async[name], nil, start)
    misuse("1 to 250000 values, one has -1", async[name], start, { echo, n = -1 })
    misuse("1 to 250000 values, one has 0", async[name], start, { echo, n = 0 })
  end
  async.checkpoint()
  assert.is_false(started)
end

cases["an object that can be called is a child, also when it is the only argument"] = function()
  local object = setmetatable({}, { __call = function() return echo "called" end })
  assert.equal("called", async.gather(object))
  assert.same({ { ok = true, value = "called" } }, async.settle(object))
  assert.same({ 1, "called" }, { async.any(object) })
end

cases["a list with a hole is refused, wherever Lua sees its end"] = function()
  local far = { [1] = echo, [3] = echo }
  for _, name in ipairs { "gather", "settle", "race", "any" } do
    misuse("2 is a nil", async[name], { echo, nil, echo })
    misuse("2 is a nil", async[name], { echo, nil, nil, echo })
    misuse("2 is a nil", async[name], far)
    misuse("1 is a nil", async[name], { nil, echo })
    misuse("bad argument #2", async[name], echo, nil, echo)
  end
end

cases["a table with arguments that stands alone is told from a list"] = function()
  local hint = "(a table that is the only argument is a list: { { fn, args... } })"
  misuse("2 is a number " .. hint, async.gather, { echo, 7 })
  misuse("n is a number " .. hint, async.any, { echo, n = 1 })
  assert.is_nil(misuse("1 is a number", async.gather, { 7, echo }):find(hint, 1, true))
  assert.is_nil(misuse("2 is a number", async.gather, echo, 7):find(hint, 1, true))
end

cases["a task is no child of its own"] = function()
  for _, name in ipairs { "gather", "settle", "race", "any" } do
    local task, started
    task = async.spawn(function()
      misuse("a task cannot wait for itself", async[name], function() started = true end, task)
      async.checkpoint()
      return "goes on"
    end)
    assert.equal("goes on", task:wait())
    assert.is_nil(started)
  end
end

cases["a wrong argument is told at the line of the call"] = function()
  local err = error_of(function() async.gather(7) return 1 end)
  assert.is_truthy(err:find "^[^\n]*children.lua:%d+: async.gather takes", err)
end

-- --- gather and its errors ----------------------------------------------------------------------

cases["gather takes the error of a task that has ended, and starts no function"] = function()
  local problem, started = {}, false
  local err = error_of(async.gather, function() started = true end, failed_task(fail, problem),
    function() started = true end)
  assert.equal(problem, err)
  assert.is_nil(problem.others)
  async.checkpoint()
  assert.is_false(started)
end

cases["gather fails when one of its tasks was cancelled by others"] = function()
  local task, ended = async.spawn(sleep_long), {}
  local whole = async.spawn(async.gather, task, slow_to_end(ended, "x"))
  until_true(function() return task.status == "running" end)
  task:cancel "by hand"
  local err = fails_with("cancelled", whole.wait, whole)
  assert.equal("cancelled: by hand", tostring(err))
  assert.same({ "x" }, ended)
end

cases["the error is raised once all others have ended"] = function()
  for _, many in ipairs { async.gather, async.race } do
    local ended = {}
    assert.equal("first", error_of(many, slow_to_end(ended, 1), { fail, "first" },
      slow_to_end(ended, 2)))
    table.sort(ended)
    assert.same({ 1, 2 }, ended)
  end
end

cases["others has what failed too, in the order of arguments"] = function()
  local raised, two, three = table_error "raised", table_error "two", "three"
  local err = error_of(async.gather, fail_when_cancelled(three), sleep_long, { fail, raised },
    fail_when_cancelled(two), sleep_long)
  assert.equal(raised, err)
  assert.equal(2, #err.others)
  assert.equal(three, err.others[1])
  assert.equal(two, err.others[2])
  assert.equal('["three"]', json.encode { err.others[1] })
  local alone = error_of(async.gather, sleep_long, { fail, table_error "alone" })
  assert.is_nil(alone.others)
end

cases["others has those of all levels, and only those of this time"] = function()
  local raised = table_error "raised"
  local function inner() async.gather({ fail, raised }, fail_when_cancelled "inner") end
  local err = error_of(async.gather, function() inner() return 1 end, fail_when_cancelled "outer")
  assert.equal(raised, err)
  assert.same({ "inner", "outer" }, err.others)
  error_of(async.gather, { fail, raised }, fail_when_cancelled "again")
  assert.same({ "again" }, err.others)
  error_of(async.gather, { { fail, raised } })
  assert.is_nil(err.others)
  raised.others = { "the app's own" }
  error_of(async.gather, { { fail, raised } })
  assert.same({ "the app's own" }, err.others)
end

cases["what fails while others are cancelled is not lost on the way out"] = function()
  local function inner() async.gather(fail_when_cancelled "deep") end
  local problem = table_error "first"
  error_of(async.gather, { fail, problem }, function() inner() return 1 end)
  assert.same({ "deep" }, problem.others)
  local err = fails_with("timeout", async.timeout, SHORT, async.gather, inner, sleep_long)
  assert.same({ "deep" }, err.others)
  err = fails_with("timeout", async.timeout, SHORT, fail_when_cancelled "own")
  assert.same({ "own" }, err.others)
  assert.is_nil(fails_with("timeout", async.timeout, SHORT, sleep_long).others)
end

cases["others stays though a close handler on the way out uses what has errors of its own"] =
  function()
    local raised = table_error "raised"
    local function inner()
      local _ <close> = closing(function()
        async.timeout(expect.LONG, echo)
        async.group(function(group) group:spawn(echo) end)
        async.settle { { fail, "caught" } }
      end)
      async.gather({ fail, raised }, fail_when_cancelled "inner")
    end
    error_of(async.gather, function() inner() return 1 end, fail_when_cancelled "outer")
    assert.same({ "inner", "outer" }, raised.others)
  end

cases["others has an error once that several children raised, and never the raised one"] =
  function()
    local problem = table_error "mine"
    local task = async.spawn(fail_when_cancelled "of a task")
    async.checkpoint()
    local err = error_of(async.gather, fail_when_cancelled(problem), task, { fail, problem }, task)
    assert.equal(problem, err)
    assert.equal(1, #err.others)
    assert.equal("of a task", err.others[1])
  end

cases["an error that is no table passes unchanged"] = function()
  for _, value in ipairs { "text", 7, true, 0.5 } do
    assert.equal(value, error_of(async.gather, { fail, value }, fail_when_cancelled "other"))
    assert.equal(value, error_of(async.race, { fail, value }, fail_when_cancelled "other"))
    assert.equal(value, error_of(async.any, { fail, value }, { fail, "other" }))
  end
end

cases["an error that is nil is none of memory"] = function()
  for _, many in ipairs { async.gather, async.race, async.any } do
    assert.is_nil(error_of(many, { { fail, nil, n = 2 } }))
  end
  local problem = {}
  assert.equal(problem, error_of(async.gather, { fail, problem }, fail_when_cancelled(nil)))
  assert.same({ "nil" }, problem.others)
  local task = async.spawn(error)
  assert.is_nil(error_of(task.wait, task))
  assert.is_nil(task.error)
  assert.equal("failed", task.status)
  assert.same({ { ok = false } }, async.settle(task))
end

cases["an error that cannot be told or written to is raised all the same"] = function()
  local function refuse() error "refused" end
  local strange = setmetatable({}, { __tostring = refuse, __index = refuse, __newindex = refuse })
  assert.equal(strange, error_of(async.gather, { fail, strange }, fail_when_cancelled "x"))
  assert.equal("x", strange.others[1])
  assert.equal("x", error_of(async.gather, { fail, "x" }, fail_when_cancelled(strange)))
end

cases["the traceback has the first error's lines, the others' texts and the caller's lines"] =
  function()
    local function culprit() fail(table_error "first") end
    local function bystander()
      async.gather(function() culprit() end, fail_when_cancelled "second")
    end
    local function innocent()
      async.gather(function() bystander() end, fail_when_cancelled(table_error "third"))
    end
    local task = failed_task(function() innocent() return 1 end)
    local expected = "culprit.*another one failed, too: second\ncalled from:.*bystander.*"
      .. "another one failed, too: third\ncalled from:.*innocent.*spawned at:"
    assert.is_truthy(task.traceback:find(expected), task.traceback)
    local _, lines = task.traceback:gsub("too: second", "")
    assert.equal(1, lines)
  end

cases["the traceback of a child says which line made it"] = function()
  local function here() return debug.getinfo(2, "l").currentline end
  local line
  local ways = {
    function() line = here() async.gather({ fail, "x" }, sleep_long) end,
    function() line = here() async.settle(async.spawn(fail, "x")) async.spawn(fail, "x"):wait() end,
    function() line = here() async.race(sleep_long, function() fail "x" end) end,
    function() line = here() async.map({ "x", "y" }, fail, { limit = 1 }) end,
    function() async.group(function(group) line = here() group:spawn(fail, "x") end) end,
  }
  for _, way in ipairs(ways) do
    local traceback = failed_task(function() way() return 1 end).traceback
    local told = traceback:match "spawned at:\n[^\n]-children.lua:(%d+)"
    assert.equal(line, math.tointeger(tonumber(told)), traceback)
  end
end

cases["the traceback of a string has the others, too, but not more than eight"] = function()
  local function culprit() fail "first" end
  local children = { function() culprit() end }
  for i = 1, 10 do children[#children + 1] = fail_when_cancelled("other " .. i) end
  local task = failed_task(function() async.gather(children) return 1 end)
  assert.equal("first", task.error)
  local expected = "culprit.*too: other 1\n.*too: other 8\nand 2 more\ncalled from:"
  assert.is_truthy(task.traceback:find(expected), task.traceback)
end

-- --- settle -------------------------------------------------------------------------------------

cases["settle gives each end under its key, and raises none"] = function()
  local problem = {}
  local list = async.settle({ echo, 1, 2 }, { fail, problem }, echo, { fail, "text" })
  assert.same({ ok = true, value = 1 }, list[1])
  assert.is_false(list[2].ok)
  assert.equal(problem, list[2].error)
  assert.same({ ok = true }, list[3])
  assert.same({ ok = false, error = "text" }, list[4])
  local named = async.settle { good = { echo, false }, bad = { fail, false } }
  assert.same({ good = { ok = true, value = false }, bad = { ok = false, error = false } }, named)
end

cases["settle waits for all, whatever fails first"] = function()
  local list = async.settle({ fail, "x" }, function() async.sleep(SHORT) return "late" end)
  assert.same({ { ok = false, error = "x" }, { ok = true, value = "late" } }, list)
end

cases["settle tells of children that were cancelled"] = function()
  local task = async.spawn(sleep_long)
  task:cancel "before its start"
  local child
  local list = async.settle(task, function()
    child = async.spawn(sleep_long)
    async.checkpoint()
    child:cancel()
    child:wait()
  end)
  assert.equal("cancelled: before its start", tostring(list[1].error))
  assert.equal("cancelled", list[2].error.kind)
end

for name in pairs { gather = 1, settle = 1, race = 1, any = 1, map = 1 } do
  cases[name .. " is cancelled with its children, which end first"] = function()
    local ended, seen = {}, {}
    local function child()
      local _ <close> = closing(function()
        async.shield(async.sleep, SHORT)
        ended[#ended + 1] = "child"
      end)
      local err = fails_with("cancelled", sleep_long)
      seen[#seen + 1] = tostring(err)
      error(err)
    end
    local task = async.spawn(function()
      if name == "map" then return async.map({ 1, 2 }, child) end
      return async[name](child, child)
    end)
    for _ = 1, 3 do async.checkpoint() end
    task:cancel "enough"
    local err = fails_with("cancelled", task.wait, task)
    assert.equal("cancelled: enough", tostring(err))
    assert.same({ "child", "child" }, ended)
    assert.same(2, #seen)
    assert.is_truthy(seen[1]:find "the task that waits for it was cancelled", seen[1])
  end
end

-- --- race and any -------------------------------------------------------------------------------

cases["race gives all results of the first that ends, and its key"] = function()
  assert.same({ n = 5, 2, 1, nil, "x", nil }, table.pack(async.race(sleep_long,
    { echo, 1, nil, "x", nil, n = 5 })))
  assert.same({ n = 1, 1 }, table.pack(async.race(echo, sleep_long)))
  assert.same({ n = 3, "key", nil, false }, table.pack(async.race {
    key = { echo, nil, false, n = 3 }, other = sleep_long }))
end

cases["race and any cancel the losers and wait for them"] = function()
  for _, first in ipairs { async.race, async.any } do
    local ended = {}
    assert.same({ 2, "won" }, { first(slow_to_end(ended, 1), { echo, "won" },
      slow_to_end(ended, 3)) })
    table.sort(ended)
    assert.same({ 1, 3 }, ended)
  end
end

cases["race raises the error of the first that ends"] = function()
  local problem = table_error "first"
  local err = error_of(async.race, sleep_long, { fail, problem }, fail_when_cancelled "second")
  assert.equal(problem, err)
  assert.same({ "second" }, err.others)
end

cases["race of what has ended is over at once"] = function()
  local started = false
  assert.same({ 1, "done" }, { async.race(ended_task "done", function() started = true end) })
  assert.equal("x", error_of(async.race, failed_task(fail, "x"), ended_task()))
  assert.equal(2, (async.race(function() started = true end, ended_task())))
  assert.is_false(started)
end

cases["any gives the first that succeeds, whatever failed before"] = function()
  assert.same({ n = 4, 3, "good", nil, 3 }, table.pack(async.any({ fail, "a" }, { fail, {} },
    { echo, "good", nil, 3, n = 4 }, sleep_long)))
  assert.same({ "b", "done" }, { async.any { a = failed_task(fail, "x"), b = ended_task "done" } })
end

cases["any raises the first error in the order of arguments when none succeeds"] = function()
  local one, two, three = table_error "one", table_error "two", table_error "three"
  local err = error_of(async.any, function() async.sleep(SHORT) error(one) end, { fail, two },
    failed_task(fail, three))
  assert.equal(one, err)
  assert.equal(two, err.others[1])
  assert.equal(three, err.others[2])
  assert.equal("only", error_of(async.any, { { fail, "only" } }))
end

cases["any of cancelled tasks only is cancelled itself"] = function()
  local task = async.spawn(sleep_long)
  task:cancel "gone"
  assert.equal("cancelled: gone", tostring(fails_with("cancelled", async.any, task)))
end

return cases
