-- task_options_spec.lua - the options of task{...}: checks, merging, handlers, outcome, delay.
--
-- Handlers are functions of the spec: spec/apps/task_options calls app.handler. Names like P21 are
-- the promises that a test keeps.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local context = require "perilune.context"
local perilune = require "perilune"
local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local TIMINGS = { "now", "after_route", "after_response" }

local client, app

setup(function()
  client = site.open "task_options"
  app = client.app
end)
teardown(function() client:close() end)
before_each(function() app.reset() end)

--- Answers a request with a handler; gives the response.
local function handle(handler)
  app.handler = handler
  return client:get "/do"
end

local function timed(tasks, timing)
  return timing == "now" and tasks or tasks[timing]
end

local function until_ended(task)
  return wait.wait_until(function()
    return task.status ~= "waiting" and task.status ~= "running" and task
  end, nil, "the end of a task")
end

--- Until so many events have been noted; then lets others run a little more.
local function events(count)
  wait.wait_until(function() return #app.events >= count end, nil, function()
    return ("%d events: %s"):format(count, table.concat(app.events, ", "))
  end)
  for _ = 1, 5 do async.checkpoint() end
  return app.events
end

--- The task that a handler schedules with options, after its end.
local function run(options, fn, ...)
  local arguments, task = table.pack(...), nil
  handle(function(req)
    task = req.tasks:task(options):schedule(fn, table.unpack(arguments, 1, arguments.n))
    return 204
  end)
  return until_ended(task)
end

local function fail(err) error(err, 0) end

describe("options", function()
  local function said(options)
    local text
    handle(function(req)
      text = select(2, pcall(function()
        req.tasks:task(options)
      end))
      return 204
    end)
    return text
  end

  it("that are wrong are told in words, at the caller's line (P49)", function()
    local expected = {
      [{ retires = 1 }] = 'unknown option "retires" (did you mean "retries"?)',
      [{ shield = 1 }] = 'option "shield" is true or false, not a number',
      [{ on_error = "f" }] = 'option "on_error" is a function, a table of functions by kind, or '
        .. "false, not a string",
      [{ on_error = { timeout = 1 } }] = 'option "on_error": that for "timeout" is a function, not'
        .. " a number",
      [{ on_error = { print } }] = 'one has a number as its key',
      [{ on_cancel = {} }] = 'option "on_cancel" is a function or false, not a table',
      [{ timeout = 0 }] = 'option "timeout" is a number of seconds above 0, not 0.0',
      [{ timeout = "1" }] = 'option "timeout" is a number of seconds above 0, not a string',
      [{ timeout = 0 / 0 }] = 'option "timeout" is a number of seconds above 0, not ',
      [{ delay = -1 }] = 'option "delay" is a number of seconds, 0 or more, not -1.0',
      [{ retries = -1 }] = 'option "retries" is a whole number from 0 to 1000000000, not -1',
      [{ retries = 1.5 }] = "not 1.5",
      [{ retries = true }] = "not true",
      [{ retry_on = 1 }] = 'option "retry_on" is a function of the error or a list of kinds, not a'
        .. " number",
      [{ retry_on = { timeout = true } }] = 'option "retry_on" is a list of kinds: strings at 1',
      [{ backoff = 1 }] = 'option "backoff" is a table { initial=, factor=, max=, jitter= }, not a',
      [{ backoff = { inital = 1 } }] = 'unknown option "inital" (did you mean "initial"?)',
      [{ backoff = { factor = 0.5 } }] = 'option "backoff.factor" is a number of at least 1, not',
      [{ backoff = { max = -1 } }] = 'option "backoff.max" is a number of seconds, 0 or more, not',
      [{ backoff = { jitter = 1 } }] = 'option "backoff.jitter" is true or false, not a number',
      [{ outcome = "never" }] = 'option "outcome" is "success", "failure" or "any", not "never"',
      [{ outcome = true }] = 'option "outcome" is "success", "failure" or "any", not a boolean',
    }
    for options, text in pairs(expected) do
      local message = said(options)
      assert.is_truthy(message:find(text, 1, true), message)
      assert.is_truthy(message:find "task_options_spec.lua:%d+: ", message)
    end
  end)

  it("none at all are what no task{} is (P49)", function()
    local task = run({}, function(...) return ... end, 1, nil)
    assert.same({ n = 2, 1 }, task.results)
    assert.same({}, task.config)
    assert.equal(1, task.attempt)
  end)

  it("are merged field by field, and neither side is changed (P50, P51, P53, P54)", function()
    local given = { name = "one", retries = 2, on_error = { timeout = fail, default = fail } }
    local first, second, third
    handle(function(req)
      local one = req.tasks.after_response:task(given)
      local two = one:task { name = "two", shield = true }
      given.on_error.timeout, given.name = nil, "changed"
      first, second = one:schedule(print), two:schedule(print)
      third = one:schedule(print)
      for _, task in ipairs { first, second, third } do task:cancel() end
    end)
    assert.equal("one", first.config.name)
    assert.equal(fail, first.config.on_error.timeout)
    assert.is_nil(first.config.shield)
    assert.equal("two", second.config.name)
    assert.is_true(second.config.shield)
    assert.equal(2, second.config.retries)
    first.config.on_error.default = nil
    assert.equal(fail, third.config.on_error.default)
  end)
end)

describe("on_error", function()
  it("has all four combinations of colours (P66, P71, P78)", function()
    for _, fn in ipairs { fail, app.fail } do
      local seen = {}
      local path = os.tmpname()
      local function handler(task, err)
        async.checkpoint()
        seen = { task.name, task.status, err }
        return "ignored"
      end
      run({ name = "four", on_error = handler }, fn, path)
      wait.wait_until(function() return seen[1] end)
      assert.same({ "four", "failed", path }, seen)
      run({ name = "four", on_error = app.tell }, fn, path)
      wait.wait_until(function() return program.read(path) == "four failed 1 " .. path end)
      os.remove(path)
    end
  end)

  it("may be a table by kind (P77)", function()
    local handlers = {}
    for _, name in ipairs { "timeout", "mine", "default" } do
      handlers[name] = function(_, err) app.note(name .. " " .. tostring(err.kind)) end
    end
    run({ on_error = handlers, timeout = 0.001 }, async.sleep, 60)
    assert.same({ "timeout timeout" }, events(1))
    run({ on_error = handlers }, fail, { kind = "mine" })
    run({ on_error = handlers }, fail, { kind = "other" })
    assert.same({ "timeout timeout", "mine mine", "default other" }, events(3))
    handlers.default = nil
    run({ on_error = handlers }, fail, "plain")
    assert.same(3, #events(3))
  end)

  it("runs in the task's own fiber: its context, its request (P47, P76)", function()
    local seen, id
    handle(function(req)
      id = req.id
      context.user = "ann"
      req.tasks:task { on_error = function(task)
        seen = { context.user, context.request_id, task.args[1], task.fn == fail }
      end }:schedule(fail, "x")
    end)
    wait.wait_until(function() return seen end)
    assert.same({ "ann", id, "x", true }, seen)
  end)

  it("may call the function once more, and do other work (P76, P79)", function()
    local results
    local calls = 0
    run({ on_error = function(task) results = table.pack(task:call()) end }, function(...)
      calls = calls + 1
      if calls == 1 then error "first" end
      async.checkpoint()
      return calls, ...
    end, "a", nil)
    wait.wait_until(function() return results end)
    assert.same({ n = 3, 2, "a" }, results)
  end)

  it("may call the function where it runs, from a pool's thread (P77, P79)", function()
    local path, calls, ids = os.tmpname(), 0, {}
    handle(function(req)
      req.tasks:task { on_error = app.call_again }:schedule(function(...)
        calls = calls + 1
        ids[calls] = context.request_id == req.id
        if calls < 3 then error("fails " .. calls, 0) end
        return calls, ...
      end, path)
    end)
    wait.wait_until(function() return program.read(path) == "2 3 " .. path end)
    os.remove(path)
    assert.same({ true, true, true }, ids)
  end)

  it("may call a blocking function once more, with the arguments as they were (P40, P79)",
    function()
      local path, value, results = os.tmpname(), { "first" }, nil
      handle(function(req)
        req.tasks:task { on_error = function(task) results = table.pack(task:call()) end }
          :schedule(app.flaky, path, 2, value)
        value[1] = "second"
      end)
      wait.wait_until(function() return results end)
      os.remove(path)
      assert.same({ n = 2, 2, "first" }, results)
    end)
end)

describe("on_cancel", function()
  local function note_cancel(task, reason)
    async.checkpoint()
    app.note(("%s: %s"):format(task.status, tostring(reason)))
  end

  it("is told the reason, before the start and after it (P80)", function()
    for _, fn in ipairs { async.sleep, app.echo } do
      handle(function(req)
        local task = req.tasks:task { on_cancel = note_cancel, on_error = fail }:schedule(fn, 60)
        task:cancel "not wanted"
      end)
    end
    handle(function(req)
      local task = req.tasks:task { on_cancel = note_cancel }:schedule(async.sleep, 60)
      async.checkpoint()
      task:cancel()
    end)
    assert.same({ "cancelled: not wanted", "cancelled: not wanted", "cancelled: nil" }, events(3))
  end)

  it("is told when a task is dropped", function()
    handle(function(req)
      req.tasks.after_response:task { on_cancel = note_cancel }:schedule(print)
      error "no"
    end)
    assert.same({ "cancelled: its handler failed before the task was due" }, events(1))
  end)

  it("can be switched off, and is not called after a success", function()
    handle(function(req)
      local tasks = req.tasks:task { on_cancel = note_cancel }
      tasks:schedule(function() end)
      tasks:task { on_cancel = false }:schedule(async.sleep, 60):cancel()
    end)
    assert.same({}, events(0))
  end)
end)

describe("outcome", function()
  local function schedule_all(tasks)
    for _, timing in ipairs { "after_route", "after_response" } do
      for _, outcome in ipairs { "success", "failure", "any" } do
        tasks[timing]:task { outcome = outcome }:schedule(app.note, timing .. " " .. outcome)
      end
    end
  end

  local SUCCESS = { "after_route success", "after_route any", "after_response success",
    "after_response any" }
  local FAILURE = { "after_route failure", "after_route any", "after_response failure",
    "after_response any" }

  local ends = {
    { "returns", function() return 200, "fine" end, SUCCESS },
    { "returns a 500", function() return 500, "not fine" end, SUCCESS },
    { "aborts below 400", function() perilune.abort(303) end, SUCCESS },
    { "aborts", function() perilune.abort(404) end, FAILURE },
    { "raises", function() error "no" end, FAILURE },
    { "returns what is no response", function() return true end, FAILURE },
  }
  for _, row in ipairs(ends) do
    it(("of a handler that %s (P21, P22, P25, P34)"):format(row[1]), function()
      handle(function(req)
        schedule_all(req.tasks)
        return row[2]()
      end)
      assert.same(row[3], events(4))
    end)
  end

  it("of a stream that raises on its way is a failure from there on (P32)", function()
    pcall(handle, function(req)
      schedule_all(req.tasks)
      return perilune.stream(function(write)
        write "begun"
        async.checkpoint()
        error "no"
      end)
    end)
    assert.same({ "after_route success", "after_route any", "after_response failure",
      "after_response any" }, events(4))
  end)

  it("holds for what is scheduled too late, too", function()
    local late = {}
    handle(function(req)
      local tasks = req.tasks
      tasks:schedule(function()
        wait.wait_until(function() return late.go end)
        for _, outcome in ipairs { "success", "failure", "any" } do
          late[#late + 1] = tasks.after_response:task { outcome = outcome }:schedule(app.note,
            outcome)
        end
      end)
      error "no"
    end)
    late.go = true
    assert.same({ "failure", "any" }, events(2))
    assert.equal("cancelled", until_ended(late[1]).status)
    assert.is_true(late[2].late)
  end)
end)

describe("delay", function()
  it("counts from the point where the task would start; it waits until then", function()
    for _, timing in ipairs(TIMINGS) do
      local task, at
      handle(function(req)
        at = async.now()
        task = timed(req.tasks, timing):task { delay = 0.01 }:schedule(async.now)
        async.checkpoint()
        assert(task.status == "waiting" and task.attempt == 0 and not task.started:is_set())
      end)
      assert.is_true(task:wait() - at >= 0.01)
      assert.is_true(task.started:is_set())
    end
  end)

  it("of a blocking function has its arguments copied at once (P40)", function()
    local task
    handle(function(req)
      local value = { "first" }
      task = req.tasks:task { delay = 0.001 }:schedule(app.echo, value)
      value[1] = "second"
    end)
    assert.same({ "first" }, task:wait())
  end)

  it("can be cancelled", function()
    for _, fn in ipairs { app.note, app.echo } do
      local task
      handle(function(req)
        task = req.tasks:task { delay = 60 }:schedule(fn, "ran")
        async.checkpoint()
        task:cancel "not wanted"
      end)
      assert.equal("cancelled: not wanted", tostring(until_ended(task).error))
      assert.is_false(task.started:is_set())
    end
    assert.same({}, events(0))
  end)
end)

describe("a time limit", function()
  it("ends what waits, what computes and what is blocking", function()
    local function spin() while true do end end
    for _, fn in ipairs { async.sleep, spin, app.spin } do
      local task = run({ timeout = 0.01 }, fn, 60)
      assert.equal("failed", task.status)
      assert.equal("timeout", task.error.kind)
    end
  end)

  it("that is not reached changes nothing", function()
    assert.same({ n = 2, "x" }, run({ timeout = 60 }, app.echo, "x", nil).results)
  end)
end)

describe("perilune.tasks", function()
  it("is the scheduler of the running request, wherever its code is (P5, P93)", function()
    local seen, ids = {}, {}
    handle(function(req)
      seen.handler = perilune.tasks == req.tasks
      async.gather(function() seen.child = perilune.tasks == req.tasks end)
      local tasks = req.tasks
      req.tasks.after_response:schedule(function()
        seen.task = perilune.tasks == tasks
        async.gather(function() seen.child_of_task = perilune.tasks == tasks end)
        ids[1] = context.request_id
        perilune.tasks:schedule(function() ids[2] = context.request_id end)
      end)
      ids[3] = req.id
    end)
    wait.wait_until(function() return ids[2] end)
    assert.same({ handler = true, child = true, task = true, child_of_task = true }, seen)
    assert.same({ ids[3], ids[3], ids[3] }, ids)
  end)

  it("reaches the points of the request, also from a stream (P26, P37)", function()
    handle(function()
      perilune.tasks.after_response:schedule(app.note, "response")
      perilune.tasks.after_route:schedule(app.note, "route")
      return "x"
    end)
    assert.same({ "route", "response" }, events(2))
    app.reset()
    handle(function()
      return perilune.stream(function(write)
        app.late = perilune.tasks.after_route:schedule(app.note, "late route")
        write "x"
      end)
    end)
    assert.same({ "late route" }, events(1))
    assert.is_true(app.late.late)
  end)

  it("is the app's outside of requests: hooks, its own tasks (P8)", function()
    assert.equal("on_start", app.started)
    assert.equal("mine", app.of_app)
    local task, inner
    handle(function()
      task = app.tasks.after_response:schedule(function()
        inner = perilune.tasks:schedule(function() return "inner" end)
        return inner:wait()
      end)
    end)
    assert.equal("inner", until_ended(task).results[1])
    assert.is_true(task.late)
    assert.is_nil(task.response)
  end)

  it("says where it can be used (P1)", function()
    local said = { select(2, pcall(function() return perilune.tasks end)) }
    assert.is_truthy(said[1]:find("no app is served here", 1, true), said[1])
    assert.is_truthy(said[1]:find("task_options_spec.lua", 1, true))
    local lone = perilune.app {}
    local _, err = pcall(lone.tasks.schedule, lone.tasks, print)
    assert.is_truthy(err:find("app.tasks works while the app is served", 1, true), err)
  end)

  it("while the app loads is an error that names on_start", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local tasks = perilune.tasks
]] }
    local result = program.run { "routes", directory }
    program.remove_directory(directory)
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find("app.lua:2: perilune.tasks belongs to what runs", 1, true),
      result.err)
    assert.is_truthy(result.err:find("app:on_start", 1, true))
  end)
end)

describe("task options", function()
  it("go along from a blocking handler (P10, P49)", function()
    assert.equal("run", client:get("/blocking").body)
  end)
end)

describe("the worker", function()
  it("takes so many tasks and no more: kind full, counted and logged (P46)", function()
    local directory = program.make_directory { ["app.lua"] = [[
local async = require "perilune.async"
local perilune = require "perilune"
local app = perilune.app {}
app:get("/full", function(req)
  local tasks, kinds = {}, {}
  for i = 1, 5 do
    local ok, result = pcall(i % 2 == 0 and async.spawn
      or function(...) return req.tasks:schedule(...) end, async.sleep, 60)
    if ok then tasks[#tasks + 1] = result else kinds[#kinds + 1] = result.kind end
  end
  for _, task in ipairs(tasks) do task:cancel() end
  async.settle(table.unpack(tasks))
  return { count = #tasks, kinds = kinds, again = async.spawn(function() return 1 end):wait() }
end)
app:get("/refused", function(req)
  for _ = 1, 5 do req.tasks.after_response:schedule(async.sleep, 60) end
end)
app:get("/full_elsewhere", perilune.blocking(function(req)
  local tasks, kinds = {}, {}
  for i = 1, 4 do tasks[i] = req.tasks:schedule(function(n) return async.sleep(n) end, 60) end
  kinds[1] = select(2, pcall(tasks[4].wait, tasks[4])).kind
  for i = 1, 3 do tasks[i]:cancel() end
  for i = 1, 3 do kinds[#kinds + 1] = select(2, pcall(tasks[i].wait, tasks[i])).kind end
  return { kinds = kinds, status = tasks[4].status }
end))
app:get("/shielded", function(req)
  for _ = 1, 3 do req.tasks:task { shield = true }:schedule(function() end) end
end)
return app
]] }
    local server = site.start_at(directory, { "--max-tasks", "3", "--workers", "1" })
    assert.same({ count = 3, kinds = { "full", "full" }, again = 1 }, server:get("/full"):json())
    assert.equal(3, tonumber(wait.for_log(server, "tasks refused: .- max_tasks=(%d+) refused=1")))
    assert.same({ kinds = { "full", "cancelled", "cancelled", "cancelled" }, status = "failed" },
      server:get("/full_elsewhere"):json())
    assert.equal(503, server:get("/refused").status)
    assert.equal(0, server:stop(), server:log())
    program.remove_directory(directory)
  end)
end)

describe("a client that leaves", function()
  it("keeps no task from running; it can see that in its response (P31, P33)", function()
    local task
    app.handler = function(req)
      task = req.tasks.after_response:schedule(function()
        local response = task.response
        return response.delivered, response.status
      end)
      app.note "handler"
      wait.wait_until(function() return app.stream end)
      return "nobody reads this"
    end
    local connection = raw.connect(client.port)
    connection:send "GET /do HTTP/1.1\r\nHost: localhost\r\n\r\n"
    events(1)
    connection:reset()
    app.stream = true
    wait.wait_until(function() return task end)
    assert.same({ n = 2, false, 200 }, until_ended(task).results)
  end)
end)
