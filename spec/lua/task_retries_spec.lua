-- task_retries_spec.lua - retries, retry_on and backoff of tasks.
--
-- Handlers are functions of the spec: spec/apps/task_options calls app.handler. What the log says
-- is asked of a server process.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local AT_ONCE = { initial = 0 }

local client, app

setup(function()
  client = site.open "task_options"
  app = client.app
end)
teardown(function() client:close() end)
before_each(function() app.reset() end)

--- The task that a handler schedules with options.
local function start(options, fn, ...)
  local arguments, task = table.pack(...), nil
  options.backoff = options.backoff or AT_ONCE
  app.handler = function(req)
    task = req.tasks:task(options):schedule(fn, table.unpack(arguments, 1, arguments.n))
  end
  assert.equal(204, client:get("/do").status)
  return task
end

local function run(options, fn, ...)
  local task = start(options, fn, ...)
  return wait.wait_until(function()
    return task.status ~= "waiting" and task.status ~= "running" and task
  end, nil, "the end of a task")
end

--- A function that fails until it was called so many times, and a table that counts.
local function flaky(until_call, err)
  local seen = { calls = 0 }
  return function(...)
    seen.calls = seen.calls + 1
    async.checkpoint()
    if seen.calls < until_call then error(err or "not yet", 0) end
    return seen.calls, ...
  end, seen
end

describe("retries", function()
  it("run a function again until it succeeds (P79, P94)", function()
    local fn, seen = flaky(3)
    local errors = {}
    local task = run({ retries = 5, on_error = function(_, err) errors[#errors + 1] = err end },
      fn, "a", nil)
    assert.same({ n = 3, 3, "a" }, task.results)
    assert.equal(3, task.attempt)
    assert.equal(3, seen.calls)
    assert.same({}, errors)
  end)

  it("of 3 mean up to 4 runs; on_error comes once, after the last (P70, P79)", function()
    local fn, seen = flaky(100)
    local attempts = {}
    local task = run({ retries = 3, on_error = function(task)
      attempts[#attempts + 1] = task.attempt
    end }, fn)
    assert.equal("failed", task.status)
    assert.equal("not yet", task.error)
    assert.is_truthy(task.traceback:find("task_retries_spec.lua", 1, true), task.traceback)
    assert.equal(4, seen.calls)
    wait.wait_until(function() return attempts[1] end)
    assert.same({ 4 }, attempts)
  end)

  it("of a blocking function send the same bytes each time (P40)", function()
    local path, value = os.tmpname(), { "first" }
    local task
    app.handler = function(req)
      task = req.tasks:task { retries = 2, backoff = AT_ONCE }:schedule(app.flaky, path, 3, value)
      value[1] = "second"
    end
    client:get "/do"
    local calls, sent = task:wait()
    os.remove(path)
    assert.same({ 3, "first" }, { calls, sent })
    assert.equal(3, task.attempt)
  end)

  it("are for later timings and delays, too", function()
    for _, timing in ipairs { "after_route", "after_response" } do
      local task
      local fn = flaky(2)
      app.handler = function(req)
        task = req.tasks[timing]:task { retries = 1, backoff = AT_ONCE, delay = 0.001 }
          :schedule(fn)
      end
      client:get "/do"
      assert.equal(2, task:wait())
    end
  end)

  it("have a time limit for each attempt", function()
    local calls = 0
    local task = run({ retries = 2, timeout = 0.005 }, function()
      calls = calls + 1
      if calls < 3 then async.sleep(60) end
      return "in time"
    end)
    assert.equal("in time", task.results[1])
    assert.equal(3, calls)
    task = run({ retries = 1, timeout = 0.005 }, app.spin)
    assert.equal("timeout", task.error.kind)
    assert.equal(2, task.attempt)
  end)

  it("never follow a cancellation (P79, P80)", function()
    local calls = 0
    local task = start({ retries = 5 }, function()
      calls = calls + 1
      async.sleep(60)
    end)
    wait.wait_until(function() return calls == 1 end)
    task:cancel "enough"
    wait.wait_until(function() return task.status == "cancelled" end)
    assert.equal(1, calls)
    assert.equal("cancelled: enough", tostring(task.error))
    local fn, seen = flaky(100, { kind = "cancelled" })
    run({ retries = 5 }, fn)
    assert.equal(1, seen.calls)
  end)

  it("can be cancelled while they wait", function()
    local fn, seen = flaky(100)
    local task = start({ retries = 5, backoff = { initial = 60 } }, fn)
    wait.wait_until(function() return seen.calls == 1 end)
    for _ = 1, 5 do async.checkpoint() end
    assert.equal("running", task.status)
    task:cancel "enough"
    wait.wait_until(function() return task.status == "cancelled" end)
    assert.equal("cancelled: enough", tostring(task.error))
    assert.equal(1, seen.calls)
  end)
end)

describe("retry_on", function()
  it("is a list of kinds, of Perilune's errors and of the app's (P77)", function()
    for _, row in ipairs { { { kind = "mine" }, 2 }, { { kind = "other" }, 1 }, { "plain", 1 } } do
      local fn, seen = flaky(100, row[1])
      run({ retries = 1, retry_on = { "timeout", "mine" } }, fn)
      assert.equal(row[2], seen.calls)
    end
    local task = run({ retries = 1, retry_on = { "timeout" }, timeout = 0.001 }, async.sleep, 60)
    assert.equal(2, task.attempt)
  end)

  it("is a function of the error, which may wait and be blocking", function()
    local told = {}
    local function is_worth_it(err)
      async.checkpoint()
      told[#told + 1] = err
      return #told < 3
    end
    local fn, seen = flaky(100)
    local task = run({ retries = 10, retry_on = is_worth_it }, fn)
    assert.same({ "not yet", "not yet", "not yet" }, told)
    assert.equal(3, seen.calls)
    assert.equal("not yet", task.error)
    assert.is_truthy(task.traceback:find("in upvalue 'fn'", 1, true)
      or task.traceback:find("task_retries_spec.lua", 1, true), task.traceback)
    fn, seen = flaky(100, true)
    run({ retries = 2, retry_on = app.echo }, fn)
    assert.equal(3, seen.calls)
  end)

  it("that fails ends the task with its own error", function()
    local fn, seen = flaky(100)
    local task = run({ retries = 10, retry_on = function() error "retry_on fails" end }, fn)
    assert.equal("not yet", task.error)
    assert.equal(1, seen.calls)
  end)
end)

describe("the log", function()
  it("has each attempt that is followed by another, and when (P60, P79)", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app {}
app:get("/", function(req)
  req.tasks:task {
    name = "flaky", retries = 3,
    backoff = { initial = 0.001, factor = 2, max = 0.003, jitter = false },
    retry_on = function(err) return err ~= "retry_on" or error "no answer" end,
  }:schedule(function() error(req.query.what, 0) end)
end)
return app
]] }
    local server = site.start_at(directory, { "--workers", "1" })
    server:get "/?what=boom"
    local line = "warn  attempt of a task failed task=flaky attempt=%d request=%%x+ error=boom"
      .. " next_in_seconds=(%%S+)\n"
    local waits = {}
    wait.for_log(server, "error task failed task=flaky attempt=(4)")
    for i = 1, 3 do waits[i] = tonumber(wait.for_log(server, line:format(i))) end
    assert.same({ 0.001, 0.002, 0.003 }, waits)
    server:get "/?what=retry_on"
    assert.equal("retry_on", wait.for_log(server,
      "retry_on of a task failed task=flaky attempt=1 request=%x+ error=\"[^\n]*no answer\""
      .. " task_error=(%S+)\n"))
    assert.equal(0, server:stop(), server:log())
    program.remove_directory(directory)
  end)

  it("has waits that jitter makes shorter, by half at most", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app {}
app:get("/", function(req)
  for _ = 1, 50 do
    req.tasks:task { retries = 1, backoff = { initial = 0.001 } }:schedule(error, "x")
  end
end)
return app
]] }
    local server = site.start_at(directory, { "--workers", "1" })
    server:get "/"
    local waits, count, sum = {}, 0, 0
    wait.wait_until(function()
      return select(2, server:log():gsub("error task failed", "")) == 50
    end)
    for text in server:log():gmatch "next_in_seconds=(%S+)" do
      local seconds = tonumber(text)
      assert.is_true(seconds >= 0.0005 and seconds <= 0.001, text)
      count, sum = count + 1, sum + seconds
      waits[text] = true
    end
    assert.equal(50, count)
    assert.is_true(sum < 0.05 and next(waits, next(waits)) ~= nil)
    assert.equal(0, server:stop(), server:log())
    program.remove_directory(directory)
  end)
end)
