-- test_shutdown_spec.lua - client:shutdown(): the end of an app, as SIGTERM has it.
--
-- Runs apps/ending, mostly on a clock, where an hour takes no time: so the limits are those that
-- servers have, and the numbers are the same each time.

local async = require "perilune.async"
local test = require "perilune.test"

local APP = "apps/ending"
local APP_FILE = "spec/apps/ending/app.lua"
local LIMIT_S = 30

local client

local function open(options)
  client = test.client(APP, options or { clock = "auto" })
end

--- Ends what a failed case has left.
after_each(function()
  if client then client:close() end
  client = nil
end)

local function schedule(name, query)
  local res = client:post("/schedule/" .. name, { query = query })
  assert.equal(204, res.status, res.body)
end

local function has_note(text)
  for _, line in ipairs(client.app.notes) do
    if line == text then return true end
  end
  return false
end

--- Ends the app; its table, which adds up.
local function shut_down(options)
  local totals, exit_code = client:shutdown(options)
  assert.equal(exit_code, totals.exit_code)
  assert.equal(totals.scheduled, totals.done + totals.failed + totals.cancelled + totals.dropped
    + totals.unfinished)
  assert.equal(0, totals.unfinished)
  return totals
end

--- Lets others run until it is so.
local function wait_for(is_so)
  for _ = 1, LIMIT_S * 1000 do
    if is_so() then return end
    async.sleep(0.001)
  end
  error "it never was"
end

--- The line of apps/ending/app.lua that has the text.
local function line_of(text)
  local number = 0
  for line in io.lines(client.app.dir .. "/app.lua") do
    number = number + 1
    if line:find(text, 1, true) then return APP_FILE .. ":" .. number end
  end
end

describe("client:shutdown", function()
  it("waits for shielded tasks, cancels the others and tells their line", function()
    open()
    schedule("pay", { seconds = 20, shield = "true" })
    schedule("nap", { seconds = 3600 })
    schedule("nap", { seconds = 7200 })
    local totals = shut_down()
    assert.equal(0, totals.exit_code)
    assert.equal(3, totals.scheduled)
    assert.equal(1, totals.done)
    assert.equal(2, totals.cancelled)
    assert.equal(0, totals.failed)
    assert.equal(0, totals.dropped)
    assert.equal(1, totals.shielded)
    assert.is_true(math.abs(totals.shielded_waited_s - 20) < 1, totals.shielded_waited_s)
    assert.equal("2 x nap at " .. line_of "the line that is cancelled", totals.cancelled_at)
    assert.is_nil(totals.problem)
    assert.same({ "paid", "stopped" }, client.app.notes)
  end)

  it("waits for retries and on_error of shielded tasks", function()
    open()
    schedule("fail", { retries = 2, shield = "true" })
    local totals = shut_down { shutdown_timeout = 3600 }
    assert.equal(0, totals.exit_code)
    assert.equal(1, totals.failed)
    assert.equal(1, totals.shielded)
    assert.same({ "told after 3", "stopped" }, client.app.notes)
    assert.is_true(totals.shielded_waited_s > 100, totals.shielded_waited_s)
  end)

  it("interrupts what is left past shutdown_timeout, which counts on the clock", function()
    for _, kind in ipairs { "auto", "virtual" } do
      open { clock = kind }
      schedule("pay", { seconds = 3600, shield = "true" })
      schedule("wait_for_ever", { shield = "true" })
      local totals = shut_down()
      assert.equal(1, totals.exit_code)
      assert.equal(2, totals.cancelled)
      assert.equal(2, totals.shielded)
      assert.matches("1 x pay at spec/apps/ending/app%.lua:%d+", totals.cancelled_at)
      assert.matches("1 x wait_for_ever at spec/apps/ending/app%.lua:%d+", totals.cancelled_at)
      assert.is_true(math.abs(totals.shielded_waited_s - 25) < 1, totals.shielded_waited_s)
      assert.same({ "stopped" }, client.app.notes)
    end
  end)

  it("interrupts shielded calls in pools and on loops, too", function()
    open()
    schedule("nap_in_pool", { seconds = 3600, shield = "true" })
    schedule("nap_on_loop", { seconds = 3600, shield = "true" })
    local totals = shut_down { shutdown_timeout = 30 }
    assert.equal(1, totals.exit_code)
    assert.equal(2, totals.cancelled)
  end)

  it("waits for shielded calls in pools and on loops within the limit", function()
    open()
    schedule("nap_in_pool", { seconds = 10, shield = "true" })
    schedule("nap_on_loop", { seconds = 10, shield = "true" })
    schedule("nap_in_pool", { seconds = 3600 })
    local totals = shut_down()
    assert.equal(0, totals.exit_code)
    assert.equal(2, totals.done)
    assert.equal("1 x nap_in_pool at its pool", totals.cancelled_at)
  end)

  it("works in real time", function()
    open {}
    schedule("pay", { seconds = 0.01, shield = "true" })
    schedule("nap", { seconds = 3600 })
    schedule("compute_in_pool")
    local totals = shut_down()
    assert.equal(0, totals.exit_code)
    assert.equal(1, totals.done)
    assert.equal(2, totals.cancelled)
    assert.same({ "paid", "stopped" }, client.app.notes)
    open {}
    schedule("wait_for_ever", { shield = "true" })
    schedule("compute_in_pool", { shield = "true" })
    totals = shut_down { shutdown_timeout = 0.05 }
    assert.equal(1, totals.exit_code)
    assert.equal(2, totals.cancelled)
    assert.is_true(totals.shielded_waited_s >= 0.05)
  end)

  it("answers what is in flight within drain_timeout", function()
    open()
    local task = async.spawn(function() return client:get("/slow", { query = { seconds = 8 } }) end)
    wait_for(function() return has_note "slow begins" end)
    local totals = shut_down()
    assert.equal(0, totals.exit_code)
    assert.equal("slow", task:wait().body)
    assert.same({ "slow begins", "slow ends", "stopped" }, client.app.notes)
  end)

  it("cancels what is in flight past drain_timeout", function()
    open()
    local task = async.spawn(function()
      return pcall(client.get, client, "/slow", { query = { seconds = 15 } })
    end)
    wait_for(function() return has_note "slow begins" end)
    assert.equal(0, shut_down { drain_timeout = 3 }.exit_code)
    assert.is_false((task:wait()))
    assert.same({ "slow begins", "stopped" }, client.app.notes)
  end)

  it("ends open event streams at once", function()
    open()
    local count, ended = 0, nil
    local task = async.spawn(function()
      for _ in client:events "/feed" do count = count + 1 end
      ended = client.clock:now()
    end)
    wait_for(function() return count > 0 end)
    local begun = client.clock:now()
    local totals = shut_down { drain_timeout = 3600, shutdown_timeout = 7200 }
    assert.equal(0, totals.exit_code)
    assert.equal(0, totals.shielded_waited_s)
    task:wait()
    assert.is_true(ended - begun < 5)
  end)

  it("lets nothing more be scheduled", function()
    open()
    schedule("schedule_late", { shield = "true" })
    assert.equal(0, shut_down().exit_code)
    assert.same({ "refused: stopping", "stopped" }, client.app.notes)
    open() -- and later clients are as before
    schedule("pay", { seconds = 1 })
    client:finish_tasks()
    local totals = shut_down()
    assert.equal(1, totals.scheduled)
    assert.equal(1, totals.done)
    assert.equal("", totals.cancelled_at)
  end)

  it("tells of on_stop that fails, or does not end", function()
    open()
    client:post "/stop/badly"
    local totals = shut_down()
    assert.equal(1, totals.exit_code)
    assert.matches("the lights do not go out", totals.problem, 1, true)
    open()
    client:post "/stop/never"
    totals = shut_down()
    assert.equal(1, totals.exit_code)
    assert.is_string(totals.problem)
  end)

  it("leaves the client closed", function()
    open()
    assert.equal(0, select(2, client:shutdown()))
    client:close()
    client:close()
    for _, call in ipairs {
      function() client:get "/slow" end, function() client:events "/feed" end,
      function() client:finish_tasks() end, function() client:shutdown() end,
    } do
      local ok, err = pcall(call)
      assert.is_false(ok)
      assert.matches("test_shutdown_spec%.lua:%d+: this test client is closed", err)
    end
  end)

  it("says what was called wrongly", function()
    open()
    local function failure(...)
      local ok, err = pcall(client.shutdown, ...)
      assert.is_false(ok)
      return err
    end
    assert.matches('unknown option "drain_timeuot" (did you mean "drain_timeout"?)',
      failure(client, { drain_timeuot = 1 }), 1, true)
    assert.matches('option "shutdown_timeout" is a number of seconds, 0 to 86400, not -1',
      failure(client, { shutdown_timeout = -1 }), 1, true)
    assert.matches('option "drain_timeout" is a number of seconds, 0 to 86400, not soon',
      failure(client, { drain_timeout = "soon" }), 1, true)
    assert.matches("argument 1 is a table of options, not number", failure(client, 5), 1, true)
    assert.matches("use a colon", failure({}), 1, true)
    assert.equal(200, client:get("/slow", { query = { seconds = 0 } }).status)
  end)
end)
