-- tasks_parity_options_spec.lua - the checklist of tasks, P39 to P60: arguments, handles, options.
--
-- One case for each promise, in the order of the list. Handlers are functions of the spec:
-- spec/apps/tasks_parity calls app.handler; spec/apps/task_defaults has defaults for all its tasks.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local context = require "perilune.context"
local program = require "support.program"
local site = require "support.site"
local task_site = require "support.task_site"
local wait = require "support.wait"

local TIMINGS, fail, ended = task_site.TIMINGS, task_site.fail, task_site.ended

local served, app, client

--- Serves a fixture app while the cases of a `describe` run.
local function serve(name)
  setup(function()
    served = task_site.open(name)
    app, client = served.app, served.client
  end)
  teardown(function() served:close() end)
  before_each(function() if app.reset then app.reset() end end)
end

describe("a task", function()
  serve "tasks_parity"

  it("P39: gets its arguments as they are, holes, last nils and named ones", function()
    local named = { to = "ann" }
    local task = served:run("now", nil, function(...) return select("#", ...), ... end, 1, nil,
      named, nil)
    assert.same({ n = 5, 4, 1, nil, named }, task.results)
    assert.equal(named, task.results[4])
  end)

  it("P40: gets the values of that moment; tables are shared, or copied for the pool", function()
    local value, shared, plain, blocking = "first", { "first" }, nil, nil
    served:handle(function(req)
      plain = req.tasks.after_response:schedule(function(v, t) return v, t[1] end, value, shared)
      blocking = req.tasks.after_response:schedule(app.blocking.where, value, shared)
      value, shared[1] = "second", "second"
    end)
    assert.same({ "first", "second" }, { plain:wait() })
    assert.same({ "pool", "first", { "first" } }, { blocking:wait() })
    assert.equal("second", value)
  end)

  it("P41: is a handle: function, arguments, configuration, start", function()
    local task = served:run("now", { name = "mine", retries = 1 }, math.max, 1, 2)
    assert.equal(math.max, task.fn)
    assert.same({ n = 2, 1, 2 }, task.args)
    assert.same({ name = "mine", retries = 1, backoff = { initial = 0 } }, task.config)
    assert.is_true(task.started:is_set())
  end)

  it("P42: tells when it begins, by an event, a blocking handler, too", function()
    local before, after
    served:handle(function(req)
      local task = req.tasks:schedule(async.checkpoint)
      before = task.started:is_set()
      after = task.started:wait()
    end)
    assert.same({ false, true }, { before, after })
    assert.same({ true, true, false, 1, 0, "timeout", "use a colon" },
      client:get("/blocking/started"):json())
  end)

  it("P42: has what it has on other threads, too", function()
    for _, kind in ipairs { "blocking", "background" } do
      local seen = client:get(("/%s/fields"):format(kind)):json()
      assert.is_truthy(seen.err:find('tasks_parity/app.lua:%d+: a task has no field "status" that'))
      seen.err = nil
      assert.same({ same = true, name = "mine", retries = 1, progress = { 1, 2 },
        response = "nil" }, seen)
      local task = served:run("after_response", nil, math.max, 1)
      task:wait()
      assert.same({ 204, true },
        client:get(("/%s/response"):format(kind), { query = { id = task.id } }):json())
    end
  end)

  it("P43: can be waited for, cancelled, and asked for results, error and status", function()
    local done = served:run("now", nil, math.max, 1, 2)
    assert.same({ "done", 2, 2 }, { done.status, done.results[1], done:wait() })
    local failed = served:run("now", nil, fail, "no")
    assert.same({ "failed", "no" }, { failed.status, failed.error })
    assert.same({ false, "no" }, { pcall(failed.wait, failed) })
    local cancelled = served:schedule("now", nil, async.sleep, 60)
    cancelled:cancel "enough"
    assert.equal("cancelled", ended(cancelled).status)
    assert.equal("cancelled: enough", tostring(cancelled.error))
  end)

  it("P44: is of any callable; a coroutine that it returns is an error", function()
    local callable = setmetatable({}, { __call = function(_, ...) return "called", ... end })
    local object = { name = "object" }
    function object:tell() return self.name end
    assert.same({ "called", 1 }, { served:run("now", nil, callable, 1):wait() })
    assert.equal("object", served:run("now", nil, object.tell, object):wait())
    local task = served:run("now", nil, function() return coroutine.create(print) end)
    assert.equal("failed", task.status)
    assert.is_truthy(tostring(task.error):find("a coroutine that nobody would run", 1, true))
  end)

  it("P45: may be scheduled in branches, loops and helpers", function()
    local function helper(tasks, what) tasks.after_route:schedule(app.note, what) end
    served:handle(function(req)
      for i = 1, 5 do
        if i % 2 == 1 then helper(req.tasks, i) end
      end
    end)
    assert.same({ "1", "3", "5" }, served:events(3))
  end)

  it("P46: is refused with kind full when too many have not ended, in any place", function()
    local server = site.start("tasks_parity", { "--max-tasks", "3" })
    finally(function() server:kill() end)
    assert.same({ "timeout", "timeout", "full", "full" },
      server:get("/blocking/full"):json())
    local line = wait.for_log(server, "tasks refused: too many have not ended ([^\n]*)")
    assert.equal("max_tasks=3 refused=1", line)
    wait.for_log(server, "task failed [^\n]*(3 tasks have not ended)")
    assert.equal(0, server:stop(), server:log())
  end)

  it("P47: has the context of the moment of scheduling, for all timings and kinds", function()
    local tasks, id = {}, nil
    local function user() return context.user, context.request_id end
    served:handle(function(req)
      context.user, id = "ann", req.id
      for _, timing in ipairs(TIMINGS) do
        for _, fn in ipairs { user, app.blocking.user, app.background.user } do
          tasks[#tasks + 1] = task_site.timed(req.tasks, timing):schedule(fn)
        end
      end
      context.user = "later"
    end)
    assert.equal(9, #tasks)
    for _, task in ipairs(tasks) do assert.same({ "ann", id }, { task:wait() }) end
  end)

  it("P48: is told that what belongs to the request has ended with it", function()
    local task
    served:handle(function(req)
      task = req.tasks.after_response:schedule(function() return req:once("db", print) end)
    end)
    assert.is_truthy(tostring(ended(task).error):find("the request has ended", 1, true))
  end)
end)

describe("options", function()
  serve "tasks_parity"

  it("P49: are all optional; none are what no task{} is", function()
    local without, with = served:run("now", nil, math.max, 1), served:run("now", {}, math.max, 1)
    for _, field in ipairs { "name", "status", "results", "config", "attempt", "late" } do
      assert.same(without[field], with[field])
    end
  end)

  it("P50: of one definition serve many tasks, and are no task's own", function()
    local first, second
    served:handle(function(req)
      local definition = req.tasks:task { name = "one", backoff = { initial = 2 } }
      first, second = definition:schedule(print), definition:schedule(print)
      first:cancel()
      second:cancel()
    end)
    first.config.backoff.initial = 3
    assert.same({ name = "one", backoff = { initial = 2 } }, second.config)
    assert.are_not.equal(first.id, second.id)
  end)

  it("P51: are the same for all timings", function()
    local options = { name = "x", shield = true, timeout = 5, retries = 2, outcome = "any",
      delay = 0, backoff = { initial = 0 } }
    for _, timing in ipairs(TIMINGS) do
      assert.same(options, served:run(timing, options, async.checkpoint).config)
    end
  end)
end)

describe("defaults of an app", function()
  serve "task_defaults"

  local function expect(events)
    wait.wait_until(function() return #app.events >= #events end)
    task_site.settle()
    assert.same(events, app.events)
    while #app.events > 0 do table.remove(app.events) end
  end

  it("P52: hold for all timings", function()
    for _, timing in ipairs(TIMINGS) do
      local task = served:run(timing, nil, fail, timing)
      assert.is_true(task.config.shield)
      expect { "default: " .. timing }
    end
  end)

  it("P53: come first: what a task sets wins, what it does not is inherited", function()
    local config = served:run("now", { name = "own", retries = 1 }, async.checkpoint).config
    assert.same({ "own", 1, true }, { config.name, config.retries, config.shield })
  end)

  it("P54: are not changed by what is merged with them, nor is that", function()
    local own = { name = "own" }
    served:run("now", own, async.checkpoint)
    assert.same({ name = "own" }, own)
    assert.equal("default", served:run("now", nil, async.checkpoint).name)
  end)

  it("P55: are overridden by shield = false", function()
    assert.is_false(served:run("now", { shield = false }, async.checkpoint).config.shield)
  end)

  it("P56: have an on_error that a task's own replaces", function()
    local called = 0
    served:run("now", { on_error = function() called = called + 1 end }, fail, "no")
    wait.wait_until(function() return called == 1 end)
    expect {}
  end)

  it("P57: are inherited field by field, shield and on_error apart", function()
    assert.is_false(served:run("now", { shield = false }, fail, "one").config.shield)
    expect { "default: one" }
    local own = false
    local task = served:run("now", { on_error = function() own = true end }, fail, "two")
    assert.is_true(task.config.shield)
    wait.wait_until(function() return own end)
    expect {}
  end)

  it("P58: are switched off by on_error = false", function()
    local task = served:run("now", { on_error = false }, fail, "no")
    assert.is_false(task.config.on_error)
    expect {}
  end)

  it("P59: may have a name; names need not be unique, and the unnamed have their own", function()
    assert.equal("default", served:run("now", nil, async.checkpoint).name)
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app {}
local function resize() end
app:get("/", function(req)
  local names = {}
  for i = 1, 2 do names[i] = req.tasks:task { name = "mail " .. i // 2 }:schedule(resize).name end
  names[3] = req.tasks:schedule(resize).name
  names[4] = req.tasks:schedule(function() end).name
  return names
end)
return app
]] }
    local server = site.start_at(directory)
    finally(function()
      server:kill()
      program.remove_directory(directory)
    end)
    local names = server:get("/"):json()
    assert.same({ "mail 0", "mail 1", "resize" }, { table.unpack(names, 1, 3) })
    assert.is_truthy(names[4]:find "app.lua:8$", names[4])
  end)
end)

describe("a name", function()
  it("P60: is in every log line of the task, and in the list of what is alive", function()
    local server = site.start("tasks", { "--log-level", "debug" })
    finally(function() server:kill() end)
    server:get "/fail/now/plain/failing?what=first"
    wait.for_log(server, "task failed (task=failing )")
    wait.for_log(server, "on_error of a task failed (task=failing )")
    assert.equal(0, server:stop(), server:log())
    local gate, names = task_site.gate(), {}
    local task = async.spawn(gate.wait)
    for _, row in ipairs(async.running()) do names[row.name] = true end
    assert.is_true(names["gate.wait"] or names[task.name])
    gate.open()
    task:wait()
  end)
end)

