-- cases.lua - cases of perilune.topic, by name: functions that raise when something is wrong.
--
-- Run in a spec's fiber, a plain handler, a pool thread and a background loop. Each works on a
-- topic of its own.

local assert = require "luassert"
local async = require "perilune.async"
local shared = require "perilune.shared"
local topic = require "perilune.topic"

local LONG, SHORT = 60, 0.02

local cases = {}

local function fresh() return topic("case " .. shared "cases":incr "topics") end

local function fails_with(kind, part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  assert.is_truthy(tostring(err):find(part, 1, true), tostring(err))
  return err
end

local function misuse(part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("string", type(err), tostring(err))
  assert.is_truthy(err:find(part, 1, true), err)
end

local function receive_all(subscription)
  local list = {}
  while true do
    local ok, value = pcall(subscription.receive, subscription, 0)
    if not ok then return list, value end
    list[#list + 1] = value
  end
end

cases["a subscription gets what is published after it"] = function()
  local t = fresh()
  t:publish "before"
  local subscription <close> = t:subscribe()
  t:publish(1)
  t:publish "two"
  t:publish { 3 }
  t:publish(false)
  assert.equal(1, subscription:receive())
  assert.equal("two", subscription:receive(LONG))
  assert.same({ 3 }, subscription:receive())
  assert.equal(false, subscription:receive())
  fails_with("timeout", "nothing was published in time", subscription.receive, subscription, 0)
end

cases["every subscription gets everything, in order"] = function()
  local t = fresh()
  local subscriptions = {}
  for i = 1, 5 do subscriptions[i] = t:subscribe() end
  for i = 1, 100 do t:publish(i) end
  for _, subscription in ipairs(subscriptions) do
    for i = 1, 100 do assert.equal(i, subscription:receive(LONG)) end
    subscription:close()
  end
end

cases["a loop gets values until it is left"] = function()
  local t = fresh()
  local subscribed, got = async.event(), {}
  local task = async.spawn(function()
    local iterator, state, control, closing = t:subscribe()
    assert.equal(iterator, closing)
    subscribed:set()
    for value in iterator, state, control, closing do
      got[#got + 1] = value
      if value == 3 then break end
    end
    return iterator
  end)
  subscribed:wait()
  for i = 1, 5 do t:publish(i) end
  local subscription = task:wait()
  assert.same({ 1, 2, 3 }, got)
  assert.is_nil(subscription:receive())
  assert.is_truthy(tostring(subscription):find(", closed", 1, true))
end

cases["a subscriber that waits is woken by each value"] = function()
  local t = fresh()
  local subscription <close> = t:subscribe()
  local got = async.channel(10)
  local task = async.spawn(function()
    for value in subscription do got:send(value) end
  end)
  for i = 1, 5 do
    t:publish(i)
    assert.equal(i, got:receive(LONG))
  end
  subscription:close()
  task:wait()
end

cases["drop_oldest keeps the newest, and counts what was dropped"] = function()
  local t = fresh()
  local subscription <close> = t:subscribe { buffer = 3, overflow = "drop_oldest" }
  for i = 1, 10 do t:publish(i) end
  assert.equal(7, subscription.dropped)
  assert.same({ 8, 9, 10 }, (receive_all(subscription)))
  for i = 1, 4 do t:publish(i) end
  assert.same({ 2, 3, 4 }, (receive_all(subscription)))
  assert.equal(8, subscription.dropped)
end

cases["a subscription that is to close does so after what was buffered"] = function()
  local t = fresh()
  local subscription <close> = t:subscribe { buffer = 3, overflow = "close" }
  for i = 1, 10 do t:publish(i) end
  local list, err = receive_all(subscription)
  assert.same({ 1, 2, 3 }, list)
  assert.equal("overflow", err.kind)
  assert.is_truthy(err.message:find("more than 3 values of topic \"case", 1, true), err.message)
  fails_with("overflow", "has ended", subscription.receive, subscription)
  assert.equal(0, subscription.dropped)
  subscription:close()
  assert.is_nil(subscription:receive())
end

cases["subscriptions of both kinds and any size get what is theirs"] = function()
  local t = fresh()
  local dropping, closing = {}, {}
  for i, buffer in ipairs { 1, 5, 50, 100 } do
    dropping[i] = t:subscribe { buffer = buffer }
    closing[i] = t:subscribe { buffer = buffer, overflow = "close" }
  end
  for i = 1, 60 do t:publish(i) end
  for i, buffer in ipairs { 1, 5, 50, 100 } do
    local count = math.min(buffer, 60)
    local last = receive_all(dropping[i])
    assert.equal(count, #last)
    assert.equal(60, last[count])
    assert.equal(60 - count, dropping[i].dropped)
    local first, err = receive_all(closing[i])
    assert.equal(count, #first)
    assert.equal(count, first[count])
    assert.equal(buffer < 60 and "overflow" or "timeout", err.kind)
    dropping[i]:close()
    closing[i]:close()
  end
end

cases["subscriptions of one state get the same table"] = function()
  local t = fresh()
  local one, other = t:subscribe(), t:subscribe()
  local value = { 1 }
  t:publish(value)
  local got = one:receive(LONG)
  assert.same(value, got)
  assert.is_false(rawequal(value, got))
  assert.is_true(rawequal(got, other:receive(LONG)))
  one:close()
  other:close()
end

cases["a wait for a value ends by its limit, a cancel, or the end of the subscription"] = function()
  local t = fresh()
  local subscription = t:subscribe()
  fails_with("timeout", "nothing was published", subscription.receive, subscription, SHORT)
  fails_with("timeout", "", async.timeout, SHORT, subscription.receive, subscription)
  local task = async.spawn(subscription.receive, subscription)
  async.checkpoint()
  task:cancel "enough"
  fails_with("cancelled", "enough", task.wait, task)
  local waiting = async.spawn(subscription.receive, subscription, LONG)
  async.checkpoint()
  subscription:close()
  assert.is_nil(waiting:wait())
end

cases["a cancelled loop has ended its subscription"] = function()
  local t = fresh()
  local kept
  local task = async.spawn(function()
    local iterator, state, control, closing = t:subscribe()
    kept = iterator
    for _ in iterator, state, control, closing do assert(false, "nothing is published") end
  end)
  async.checkpoint()
  task:cancel "enough"
  pcall(task.wait, task)
  assert.is_truthy(tostring(kept):find(", closed", 1, true))
end

cases["two that receive from one subscription share it"] = function()
  local t = fresh()
  local subscription <close> = t:subscribe()
  local sum = 0
  local function add()
    local value = subscription:receive(LONG)
    sum = sum + value
  end
  async.gather(add, add, add, function()
    async.checkpoint()
    for i = 1, 3 do t:publish(i) end
  end)
  assert.equal(6, sum)
end

cases["the oldest of a topic without subscribers is nobody's"] = function()
  local t = fresh()
  for i = 1, 1000 do t:publish(i) end
  local subscription <close> = t:subscribe()
  t:publish "first"
  assert.equal("first", subscription:receive(LONG))
end

cases["subscriptions that are collected are gone"] = function()
  local t = fresh()
  for _ = 1, 10 do t:subscribe() end
  collectgarbage()
  collectgarbage()
  for i = 1, 200 do t:publish(i) end
  local subscription <close> = t:subscribe()
  t:publish "one"
  assert.equal("one", subscription:receive(LONG))
end

cases["what cannot cross is refused when it is published"] = function()
  local t = fresh()
  fails_with("transfer", "value.file", t.publish, t, { file = io.stdout })
  fails_with("transfer", "cannot be sent", t.publish, t, (t:subscribe()))
end

cases["a name is one topic"] = function()
  local t = fresh()
  local name = tostring(t):match "^topic: (.*)$"
  assert.equal(t, topic(name))
  local subscription <close> = topic(name):subscribe()
  t:publish(1)
  assert.equal(1, subscription:receive(LONG))
end

cases["publishing works where nothing can wait"] = function()
  local t = fresh()
  local subscription <close> = t:subscribe()
  table.sort({ 2, 1 }, function(a, b)
    t:publish "compared"
    return a < b
  end)
  assert.equal("compared", subscription:receive(LONG))
  misuse("cannot wait inside", table.sort, { 2, 1 }, function() subscription:receive() end)
end

cases["misuse is told"] = function()
  local t = fresh()
  local subscription <close> = t:subscribe()
  misuse("use a colon", t.publish, 1)
  misuse("use a colon", t.subscribe)
  misuse("use a colon", t.subscribe, { buffer = 1 })
  misuse("use a colon", subscription.receive)
  misuse("use a colon", subscription.close, {})
  misuse("nil cannot be published", t.publish, t)
  misuse("number expected", subscription.receive, subscription, "soon")
  misuse('unknown option "bufer" (did you mean "buffer"?)', t.subscribe, t, { bufer = 1 })
  misuse('option "buffer" is a whole number from 1 to 1000000, not 0', t.subscribe, t,
    { buffer = 0 })
  misuse('option "buffer" is a whole number', t.subscribe, t, { buffer = 1.5 })
  misuse('option "overflow" is "drop_oldest" or "close", not "drop"', t.subscribe, t,
    { overflow = "drop" })
  misuse("the name of a topic has 1 to 1024 bytes", topic, "")
  misuse("string expected", topic)
end

return cases
