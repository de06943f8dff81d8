-- sync.lua - cases of semaphore, mutex, event and channel, by name; as waits.lua.
--
-- Races that need a clock of their own, and what does not depend on where code runs (arguments,
-- memory), are in spec/c.

local assert = require "luassert"
local async = require "perilune.async"

local LONG = 60
local SHORT = 0.02

local cases = {}

local function kind_of(err)
  return type(err) == "table" and err.kind or nil
end

local function fails_with(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, kind_of(err), tostring(err))
  return err
end

local function misuse(part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("string", type(err), tostring(err))
  assert.is_truthy(err:find(part, 1, true), err)
end

local function compute_forever() while true do end end

--- Lets tasks that were just spawned run until they wait.
local function let_wait() async.checkpoint() end

--- Starts one task for each name, in order.
local function spawn_each(names, fn)
  local tasks = {}
  for name in names:gmatch "." do
    tasks[#tasks + 1] = async.spawn(fn, name)
  end
  let_wait()
  return tasks
end

local function cancel(task)
  task:cancel "enough"
  fails_with("cancelled", task.wait, task)
end

-- --- semaphore ----------------------------------------------------------------------------------

cases["a semaphore gives what it has, then makes wait"] = function()
  local semaphore = async.semaphore(2)
  semaphore:acquire()
  semaphore:acquire()
  assert.equal("semaphore: 0 free", tostring(semaphore))
  local got = false
  local task = async.spawn(function()
    semaphore:acquire()
    got = true
  end)
  let_wait()
  assert.is_false(got)
  assert.equal("semaphore: 0 free, 1 waiting", tostring(semaphore))
  semaphore:release()
  task:wait()
  semaphore:release()
  semaphore:release()
  assert.equal("semaphore: 2 free", tostring(semaphore))
end

cases["a permit goes to the one that waits longest, not to one that comes by"] = function()
  local semaphore, order = async.semaphore(0), {}
  local tasks = spawn_each("abc", function(name)
    semaphore:acquire()
    order[#order + 1] = name
    semaphore:release()
  end)
  semaphore:release()
  assert.equal("semaphore: 0 free, 2 waiting", tostring(semaphore))
  semaphore:acquire()
  assert.same({ "a", "b", "c" }, order)
  async.gather(tasks)
end

cases["with passes arguments and results through"] = function()
  local semaphore = async.semaphore(1)
  local results = table.pack(semaphore:with(function(...)
    assert.equal("semaphore: 0 free", tostring(semaphore))
    async.checkpoint()
    return select("#", ...), nil, ..., nil
  end, "a", nil))
  assert.same({ n = 4, 2, nil, "a", nil }, results)
  assert.equal(0, select("#", semaphore:with(function() end)))
  assert.equal("semaphore: 1 free", tostring(semaphore))
end

cases["with lets only so many run at once"] = function()
  local semaphore, running, most = async.semaphore(3), 0, 0
  local functions = {}
  for i = 1, 20 do
    functions[i] = function()
      return semaphore:with(function()
        running = running + 1
        most = math.max(most, running)
        for _ = 1, i % 4 do async.checkpoint() end
        running = running - 1
        return i
      end)
    end
  end
  local results = async.gather(functions)
  for i = 1, 20 do assert.equal(i, results[i]) end
  assert.equal(3, most)
  assert.equal("semaphore: 3 free", tostring(semaphore))
end

cases["with releases when its function fails, and keeps the error and its traceback"] = function()
  local semaphore, problem = async.semaphore(1), {}
  local ok, err = pcall(semaphore.with, semaphore, error, problem)
  assert.is_false(ok)
  assert.equal(problem, err)
  local function culprit() error "boom" end
  local task = async.spawn(function()
    semaphore:with(function() culprit() end)
    return "no tail call"
  end)
  pcall(task.wait, task)
  assert.is_truthy(task.traceback:find "culprit.*called from:", task.traceback)
  assert.equal("semaphore: 1 free", tostring(semaphore))
end

cases["with releases when its function is cancelled, timed out or interrupted"] = function()
  local semaphore = async.semaphore(1)
  local task = async.spawn(semaphore.with, semaphore, async.sleep, LONG)
  let_wait()
  cancel(task)
  assert.equal("semaphore: 1 free", tostring(semaphore))
  fails_with("timeout", async.timeout, SHORT, semaphore.with, semaphore, async.sleep, LONG)
  assert.equal("semaphore: 1 free", tostring(semaphore))
  fails_with("timeout", async.timeout, SHORT, semaphore.with, semaphore, compute_forever)
  assert.equal("semaphore: 1 free", tostring(semaphore))
end

cases["with releases when a coroutine around it is closed or collected"] = function()
  local semaphore = async.semaphore(1)
  local co = coroutine.create(function() semaphore:with(coroutine.yield, "inside") end)
  assert.same({ true, "inside" }, { coroutine.resume(co) })
  assert.equal("semaphore: 0 free", tostring(semaphore))
  assert.is_true(coroutine.close(co))
  assert.equal("semaphore: 1 free", tostring(semaphore))
  coroutine.wrap(function() semaphore:with(coroutine.yield) end)()
  local task = async.spawn(semaphore.with, semaphore, function() return "woken" end)
  let_wait()
  collectgarbage()
  collectgarbage()
  assert.equal("woken", task:wait())
  assert.equal("semaphore: 1 free", tostring(semaphore))
end

cases["with goes on where the app resumes its coroutine"] = function()
  local semaphore = async.semaphore(1)
  local step = coroutine.wrap(function()
    return semaphore:with(function()
      async.checkpoint()
      return "got " .. coroutine.yield "asks"
    end)
  end)
  assert.equal("asks", step())
  assert.equal("semaphore: 0 free", tostring(semaphore))
  assert.equal("got it", step "it")
  assert.equal("semaphore: 1 free", tostring(semaphore))
end

-- --- mutex --------------------------------------------------------------------------------------

cases["a mutex is held by one, in the order of asking"] = function()
  local mutex, order, inside = async.mutex(), {}, 0
  assert.equal("mutex: free", tostring(mutex))
  local tasks
  do
    local _ <close> = mutex:lock()
    tasks = spawn_each("abc", function(name)
      local _ <close> = mutex:lock()
      inside = inside + 1
      assert.equal(1, inside)
      async.checkpoint()
      order[#order + 1] = name
      inside = inside - 1
    end)
    assert.equal("mutex: locked, 3 waiting", tostring(mutex))
  end
  local _ <close> = mutex:lock()
  assert.same({ "a", "b", "c" }, order)
  async.gather(tasks)
end

cases["a guard unlocks once"] = function()
  local mutex = async.mutex()
  local guard = mutex:lock()
  assert.equal("guard: locked", tostring(guard))
  local task = async.spawn(function()
    local _ <close> = mutex:lock()
    async.sleep(SHORT)
    assert.equal("mutex: locked", tostring(mutex))
  end)
  let_wait()
  guard:unlock()
  assert.equal("guard: unlocked", tostring(guard))
  guard:unlock()
  do local _ <close> = guard end
  assert.equal("mutex: locked", tostring(mutex))
  task:wait()
  assert.equal("mutex: free", tostring(mutex))
end

cases["a guard unlocks when its block fails, is cancelled or interrupted"] = function()
  local mutex = async.mutex()
  local function hold(fn, ...)
    local _ <close> = mutex:lock()
    fn(...)
  end
  assert.is_false(pcall(hold, error, "x"))
  assert.equal("mutex: free", tostring(mutex))
  local task = async.spawn(hold, async.sleep, LONG)
  let_wait()
  cancel(task)
  assert.equal("mutex: free", tostring(mutex))
  fails_with("timeout", async.timeout, SHORT, hold, compute_forever)
  assert.equal("mutex: free", tostring(mutex))
end

cases["a collected guard unlocks"] = function()
  local mutex = async.mutex()
  async.spawn(mutex.lock, mutex):wait()
  local task = async.spawn(function()
    local _ <close> = mutex:lock()
    return "woken"
  end)
  let_wait()
  collectgarbage()
  collectgarbage()
  assert.equal("woken", task:wait())
  assert.equal("mutex: free", tostring(mutex))
end

cases["a mutex is not reentrant"] = function()
  local mutex = async.mutex()
  local guard = mutex:lock()
  misuse("this task holds it already", mutex.lock, mutex)
  misuse("this task holds it already", coroutine.wrap(mutex.lock), mutex)
  assert.equal("mutex: locked", tostring(mutex))
  guard:unlock()
  mutex:lock():unlock()
end

cases["a guard may be unlocked by another task"] = function()
  local mutex = async.mutex()
  local guard = mutex:lock()
  local waiting = async.spawn(function() return mutex:lock() end)
  let_wait()
  async.spawn(guard.unlock, guard):wait()
  waiting:wait():unlock()
  assert.equal("mutex: free", tostring(mutex))
end

-- --- event --------------------------------------------------------------------------------------

cases["an event lets go on when it is set"] = function()
  local event = async.event()
  assert.is_false(event:is_set())
  local tasks = spawn_each("abc", function() return event:wait() end)
  assert.equal("event: not set, 3 waiting", tostring(event))
  event:set()
  assert.is_true(event:is_set())
  assert.same({ true, true, true }, async.gather(tasks))
  assert.is_true(event:wait())
  assert.is_true(event:wait(0))
  assert.equal("event: set", tostring(event))
  event:clear()
  assert.is_false(event:is_set())
  fails_with("timeout", event.wait, event, 0)
end

cases["an event wakes all that wait, also when it is cleared right after"] = function()
  local event, order = async.event(), {}
  local tasks = spawn_each("abc", function(name)
    assert.is_true(event:wait(LONG))
    order[#order + 1] = name
    fails_with("timeout", event.wait, event, SHORT)
  end)
  event:set()
  event:clear()
  async.gather(tasks)
  table.sort(order)
  assert.same({ "a", "b", "c" }, order)
end

cases["an event has a time limit"] = function()
  local event, before = async.event(), async.now()
  local err = fails_with("timeout", event.wait, event, SHORT)
  assert.equal("the event was not set in time", tostring(err))
  assert.is_true(async.now() - before >= SHORT)
  assert.equal("event: not set", tostring(event))
end

-- --- channel ------------------------------------------------------------------------------------

cases["a channel without capacity hands over"] = function()
  local channel, order = async.channel(), {}
  local task = async.spawn(function()
    for i = 1, 3 do
      channel:send(i)
      order[#order + 1] = "sent " .. i
    end
  end)
  let_wait()
  assert.equal("channel: 0 of 0, 1 waiting to send", tostring(channel))
  assert.same({}, order)
  assert.equal(1, channel:receive())
  assert.equal(2, channel:receive())
  assert.same({ "sent 1", "sent 2" }, order)
  assert.equal(3, channel:receive())
  task:wait()
  assert.same({ "sent 1", "sent 2", "sent 3" }, order)
end

cases["a channel holds as much as its capacity"] = function()
  local channel = async.channel(3)
  for i = 1, 3 do channel:send(i) end
  assert.equal("channel: 3 of 3", tostring(channel))
  local tasks = spawn_each("abc", function(name) channel:send(name) end)
  assert.equal("channel: 3 of 3, 3 waiting to send", tostring(channel))
  local values = {}
  for i = 1, 6 do values[i] = channel:receive() end
  assert.same({ 1, 2, 3, "a", "b", "c" }, values)
  assert.equal("channel: 0 of 3", tostring(channel))
  async.gather(tasks)
end

cases["a channel gives to the one that waits longest"] = function()
  for capacity = 0, 1 do
    local channel, got = async.channel(capacity), {}
    local tasks = spawn_each("abc", function(name) got[name] = channel:receive() end)
    assert.equal(("channel: 0 of %d, 3 waiting to receive"):format(capacity), tostring(channel))
    for i = 1, 3 do channel:send(i) end
    local own = async.spawn(channel.receive, channel)
    channel:send(4)
    async.gather(tasks)
    assert.equal(4, own:wait())
    assert.same({ a = 1, b = 2, c = 3 }, got)
  end
end

cases["a channel passes every value but nil, by identity"] = function()
  local channel, object = async.channel(5), {}
  for _, value in ipairs { false, object, print, 1.5, "x" } do channel:send(value) end
  assert.is_false(channel:receive())
  assert.equal(object, channel:receive())
  assert.equal(print, channel:receive())
  assert.equal(1.5, channel:receive())
  assert.equal("x", channel:receive())
  misuse("nil cannot be sent", channel.send, channel, nil)
  misuse("nil cannot be sent", channel.send, channel)
end

cases["a closed channel gives what is in it, then nil"] = function()
  local channel = async.channel(2)
  channel:send "a"
  channel:send "b"
  channel:close()
  channel:close()
  assert.equal("channel: 2 of 2, closed", tostring(channel))
  local err = fails_with("closed", channel.send, channel, "c")
  assert.equal("the channel is closed", tostring(err))
  assert.same({ "a", "b" }, { channel:receive(), channel:receive(LONG) })
  assert.is_nil(channel:receive())
  assert.is_nil(channel:receive(0))
  assert.equal(1, select("#", channel:receive()))
end

cases["closing wakes those that wait to receive"] = function()
  local channel = async.channel()
  local tasks = spawn_each("abc", function(name) return { name, channel:receive(LONG) } end)
  channel:close()
  assert.same({ { "a" }, { "b" }, { "c" } }, async.gather(tasks))
end

cases["closing fails those that wait to send, and their values are not delivered"] = function()
  local channel = async.channel(1)
  channel:send "kept"
  local tasks = spawn_each("abc", function(name)
    local err = fails_with("closed", channel.send, channel, name)
    assert.equal("the channel was closed", tostring(err))
  end)
  channel:close()
  assert.equal("kept", channel:receive())
  assert.is_nil(channel:receive())
  async.gather(tasks)
end

cases["receive has a time limit"] = function()
  local channel, before = async.channel(), async.now()
  local err = fails_with("timeout", channel.receive, channel, SHORT)
  assert.equal("nothing was sent in time", tostring(err))
  assert.is_true(async.now() - before >= SHORT)
  assert.equal("channel: 0 of 0", tostring(channel))
  local task = async.spawn(channel.send, channel, "later")
  assert.equal("later", channel:receive(LONG))
  task:wait()
end

cases["each gives all values until the channel is closed"] = function()
  local channel, values = async.channel(2), {}
  local task = async.spawn(function()
    for i = 1, 10 do channel:send(i % 3 > 0 and i) end
    channel:close()
  end)
  for value in channel:each() do values[#values + 1] = value end
  assert.same({ 1, 2, false, 4, 5, false, 7, 8, false, 10 }, values)
  task:wait()
  for _ in channel:each() do error "there is nothing left" end
end

cases["each may be left and begun again"] = function()
  local channel = async.channel(3)
  for i = 1, 3 do channel:send(i) end
  for value in channel:each() do
    if value == 2 then break end
    assert.equal(1, value)
  end
  local receive_next = channel:each()
  assert.equal(3, receive_next "ignored")
end

cases["each works inside the app's own iterators"] = function()
  local channel = async.channel()
  local function doubled()
    return coroutine.wrap(function()
      for value in channel:each() do
        coroutine.yield(2 * value)
        async.checkpoint()
      end
    end)
  end
  local task = async.spawn(coroutine.wrap(function()
    for i = 1, 3 do channel:send(i) end
    channel:close()
  end))
  local values = {}
  for value in doubled() do values[#values + 1] = value end
  assert.same({ 2, 4, 6 }, values)
  task:wait()
end

cases["several send and receive, and nothing is lost or comes twice"] = function()
  for _, capacity in ipairs { 0, 1, 10 } do
    local channel, seen, functions = async.channel(capacity), {}, {}
    for sender = 1, 5 do
      functions[sender] = function()
        for i = 1, 100 do
          channel:send(100 * sender + i)
          if i % sender == 0 then async.checkpoint() end
        end
      end
    end
    local receivers = spawn_each("abc", function()
      for value in channel:each() do
        assert.is_nil(seen[value])
        seen[value] = true
      end
    end)
    async.gather(functions)
    channel:close()
    async.gather(receivers)
    for value = 101, 600 do assert.is_true(seen[value]) end
  end
end

-- --- all of them --------------------------------------------------------------------------------

--- By name: an operation that is ready, and one that has to wait.
local function operations()
  local full, empty, closed = async.channel(1), async.channel(1), async.channel(1)
  local set, unset, locked = async.event(), async.event(), async.mutex()
  full:send(1)
  closed:close()
  set:set()
  local guard = async.spawn(locked.lock, locked):wait()
  local function with(n) return function() async.semaphore(n):with(function() end) end end
  return {
    acquire = { function() async.semaphore(1):acquire() end,
      function() async.semaphore(0):acquire() end },
    with = { with(1), with(0) },
    lock = { function() async.mutex():lock() end,
      function() return locked:lock(), guard end },
    wait = { function() set:wait() end, function() unset:wait() end },
    send = { function() async.channel(1):send(1) end, function() full:send(2) end },
    receive = { function() closed:receive() end, function() empty:receive() end },
    each = { function() closed:each()() end, function() empty:each()() end },
  }
end

cases["a cancelled task cannot do what would be ready, nor wait"] = function()
  for name, pair in pairs(operations()) do
    local reached = 0
    local task = async.spawn(function()
      pcall(async.sleep, LONG)
      for _ = 1, 2 do
        fails_with("cancelled", pair[1])
        reached = reached + 1
        fails_with("cancelled", pair[2])
        reached = reached + 1
      end
    end)
    let_wait()
    task:cancel()
    task:wait()
    assert.equal(4, reached, name)
  end
end

cases["each wait can be cancelled and timed out"] = function()
  for name, pair in pairs(operations()) do
    local task = async.spawn(pair[2])
    let_wait()
    assert.equal("running", task.status, name)
    cancel(task)
    fails_with("timeout", async.timeout, SHORT, async.gather, pair[2])
  end
end

cases["what need not wait works where code cannot wait, the rest says so"] = function()
  for name, pair in pairs(operations()) do
    assert.equal(name, (("x"):gsub("x", function()
      pair[1]()
      return name
    end)))
    misuse("cannot wait inside 'string.gsub'", string.gsub, "x", "x", pair[2])
  end
end

cases["endless operations let others run"] = function()
  local channel, semaphore, mutex, event = async.channel(1), async.semaphore(1), async.mutex(),
    async.event()
  event:set()
  for name, operate in pairs {
    channel = function() channel:send(1) channel:receive() end,
    acquire = function() semaphore:acquire() semaphore:release() end,
    with = function() semaphore:with(function() end) end,
    lock = function() mutex:lock():unlock() end,
    wait = function() event:wait() end,
    each = function() channel:send(1) channel:each()() end,
  } do
    local steps, task = 0, nil
    local other = async.spawn(function()
      for _ = 1, 10 do async.checkpoint() end
      task:cancel()
    end)
    task = async.spawn(function()
      while true do
        operate()
        steps = steps + 1
      end
    end)
    other:wait()
    fails_with("cancelled", task.wait, task)
    assert.is_true(steps >= 10, name)
  end
end

cases["finalizers may use them"] = function()
  local semaphore, event, channel = async.semaphore(0), async.event(), async.channel()
  local tasks = {
    async.spawn(function() semaphore:acquire() return "acquired" end),
    async.spawn(function() return event:wait() end),
    async.spawn(function() return channel:receive() end),
    async.spawn(function() return channel:receive() end),
  }
  let_wait()
  setmetatable({}, { __gc = function()
    semaphore:release()
    event:set()
    channel:send "finalized"
    channel:close()
  end })
  collectgarbage()
  collectgarbage()
  assert.same({ "acquired", true, "finalized" }, async.gather(tasks))
end

return cases
