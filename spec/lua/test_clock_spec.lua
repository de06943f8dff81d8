-- test_clock_spec.lua - clocks that specs move: by hand, by themselves, over several threads.
--
-- Runs apps/clock. Hours pass here; no assertion depends on how long that takes in reality.

local async = require "perilune.async"
local deadlock = require "perilune.native.deadlock"
local test = require "perilune.test"

local APP = "apps/clock"

local function get(client, path)
  local res = client:get(path)
  assert.equal(200, res.status, res.body)
  return res:json()
end

describe("an automatic clock", function()
  local client

  setup(function() client = test.client(APP, { clock = "auto" }) end)
  teardown(function() client:close() end)

  it("passes an hour in a handler", function()
    local before = client.clock:now()
    get(client, "/sleep/3600")
    assert.equal(3600, client.clock:now() - before)
  end)

  it("is that of the spec too", function()
    local before = async.now()
    async.sleep(86400)
    assert.equal(86400, async.now() - before)
    assert.equal(async.now(), client.clock:now())
  end)

  it("passes in a pool thread", function()
    assert.equal(3600, get(client, "/pool/3600").slept)
  end)

  it("passes on a background loop", function()
    assert.equal(3600, get(client, "/loop/3600").slept)
  end)

  it("does not move while a pool thread computes", function()
    assert.equal(true, get(client, "/compute/3000000").ok)
  end)

  it("waits for programs that run", function()
    assert.same({ 1, 1 }, get(client, "/programs"))
  end)

  it("ends time limits", function()
    local before = get(client, "/now").at
    assert.same({ ok = false, kind = "timeout", at = before + 600 }, get(client, "/timeout/600"))
  end)

  it("ends the timeout of a route", function()
    local before = client.clock:now()
    assert.equal(503, client:get("/limited").status)
    assert.equal(600, client.clock:now() - before)
  end)

  it("ends waits with a limit", function()
    local before = get(client, "/now").at
    assert.same({ is_set = false, has_received = false, at = before + 300 }, get(client, "/waits"))
  end)

  it("passes for the backoff of tasks, without jitter", function()
    local result = client:post("/retries"):json()
    local first = result.attempts[1]
    assert.same({ first, first + 600, first + 1800, first + 4200 }, result.attempts)
  end)

  it("passes for the delay of tasks", function()
    local ran = client:post("/delayed"):json()
    local first = ran[1].at
    assert.same({ { name = "a", at = first }, { name = "b", at = first + 10 },
      { name = "c", at = first + 20 } }, ran)
  end)

  it("fires the timers of several threads in the order of their times", function()
    for _ = 1, 10 do
      assert.same({ "here 1", "pool 2", "loop 3", "here 4", "pool 5" }, get(client, "/order"))
    end
  end)

  it("passes for what runs again and again", function()
    local before = get(client, "/ticks").ticks
    async.sleep(3600)
    assert.equal(60, get(client, "/ticks").ticks - before)
  end)

  it("passes for event streams and their keep-alives", function()
    local before = get(client, "/now").at
    assert.equal((":\n\ndata: 1 at %g\n\ndata: 2 at %g\n\n:\n\ndata: 3 at %g\n\n"):format(
      before + 20, before + 40, before + 60), client:get("/events").body)
  end)

  it("passes for many requests at once", function()
    local before = client.clock:now()
    async.map({ 5, 4, 3, 2, 1, 5, 4, 3, 2, 1 }, function(seconds)
      get(client, ("/sleep/%d"):format(seconds))
      assert.equal(seconds, client.clock:now() - before)
    end)
    assert.equal(5, client.clock:now() - before)
  end)

  it("ends a time limit of the spec around a request, which is dropped", function()
    local before = client.clock:now()
    local ok, err = pcall(async.timeout, 60, client.get, client, "/sleep/3600")
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
    assert.equal(60, client.clock:now() - before)
  end)
end)

describe("a clock that is advanced by hand", function()
  local client

  before_each(function() client = test.client(APP, { clock = "virtual" }) end)
  after_each(function() client:close() end)

  it("stands still otherwise", function()
    local before = client.clock:now()
    get(client, "/now")
    assert.equal(before, client.clock:now())
    client.clock:advance(5)
    assert.equal(before + 5, client.clock:now())
  end)

  it("returns when what was due has come to rest", function()
    local answer
    async.spawn(function() answer = get(client, "/pool/30") end)
    client.clock:advance(29)
    assert.is_nil(answer)
    client.clock:advance(1)
    assert.equal(30, answer.slept)
  end)

  it("passes all that is due on the way, in order", function()
    local seen = {}
    for seconds = 3, 1, -1 do
      async.spawn(function()
        async.sleep(seconds)
        seen[#seen + 1] = { seconds, client.clock:now() }
      end)
    end
    local before = client.clock:now()
    client.clock:advance(10)
    assert.same({ { 1, before + 1 }, { 2, before + 2 }, { 3, before + 3 } }, seen)
    assert.equal(before + 10, client.clock:now())
  end)

  it("brings the app to rest with no time at all", function()
    local has_run = false
    async.spawn(function() has_run = get(client, "/now") end)
    client.clock:advance(0)
    assert.is_truthy(has_run)
  end)

  it("fails a spec that waits for time which nobody lets pass", function()
    local ok, err = pcall(deadlock.guard, client.get, client, "/sleep/1")
    assert.is_false(ok)
    assert.equal("deadlock", err.kind)
    assert.matches("nobody advances the clock", err.message, 1, true)
    assert.matches("waits in async.sleep", err.message, 1, true)
  end)

  it("says what is wrong with an advance", function()
    assert.has_error(function() client.clock.advance(1) end)
    for _, seconds in ipairs { -1, "1", 0 / 0 } do
      local ok, err = pcall(client.clock.advance, client.clock, seconds)
      assert.is_false(ok)
      assert.matches("clock:advance takes seconds", err, 1, true)
    end
  end)

  it("refuses a second advance beside the first", function()
    async.spawn(function()
      async.sleep(1)
      local ok, err = pcall(client.clock.advance, client.clock, 1)
      assert.is_false(ok)
      assert.matches("advanced by another task", err, 1, true)
    end)
    client.clock:advance(1)
  end)
end)

describe("the clock of a client", function()
  it("is real unless it is asked for", function()
    local client <close> = setmetatable({}, { __close = function(self) self.client:close() end })
    client.client = test.client(APP)
    assert.is_nil(client.client.clock)
  end)

  it("gives the spec its own time back at the end", function()
    local before = async.now()
    local client = test.client(APP, { clock = "auto" })
    async.sleep(1e6)
    client:close()
    assert.is_true(async.now() - before < 1e6)
  end)

  it("is one of three kinds", function()
    local ok, err = pcall(test.client, APP, { clock = "fast" })
    assert.is_false(ok)
    assert.matches('option "clock" is "real", "virtual" or "auto", not "fast"', err, 1, true)
    ok, err = pcall(test.client, { clocks = "auto" })
    assert.is_false(ok)
    assert.matches('unknown option "clocks" (did you mean "clock"?)', err, 1, true)
  end)

  it("starts at the same time in each run", function()
    local times = {}
    for i = 1, 2 do
      local client = test.client(APP, { clock = "auto" })
      async.sleep(10)
      times[i] = client.clock:now()
      client:close()
    end
    assert.equal(times[1], times[2])
  end)
end)
