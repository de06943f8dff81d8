-- task_handle_spec.lua - the fields of a task, and what its holder can do.
--
-- Handlers are functions of the spec: spec/apps/task_options calls app.handler.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local site = require "support.site"
local wait = require "support.wait"

local client, app

setup(function()
  client = site.open "task_options"
  app = client.app
end)
teardown(function() client:close() end)
before_each(function() app.reset() end)

local function handle(handler)
  app.handler = handler
  return client:get "/do"
end

local function until_ended(task)
  return wait.wait_until(function()
    return task.status ~= "waiting" and task.status ~= "running" and task
  end, nil, "the end of a task")
end

--- A task of a function that a handler schedules.
local function schedule(fn, ...)
  local arguments, task = table.pack(...), nil
  handle(function(req)
    task = req.tasks:schedule(fn, table.unpack(arguments, 1, arguments.n))
    app.before = { status = task.status, attempt = task.attempt }
  end)
  return task
end

describe("a task's fields", function()
  it("are those of API.md (P41, P43)", function()
    local options = { name = "mine", shield = true, backoff = { initial = 3 } }
    local task
    handle(function(req)
      task = req.tasks:task(options):schedule(async.checkpoint, 1, nil, 3, nil)
    end)
    until_ended(task)
    assert.equal("mine", task.name)
    assert.equal(async.checkpoint, task.fn)
    assert.same({ n = 4, 1, nil, 3 }, task.args)
    assert.same(options, task.config)
    assert.equal("done", task.status)
    assert.is_nil(task.error)
    assert.is_nil(task.traceback)
    assert.is_nil(task.nothing)
    assert.equal(1, task.attempt)
    assert.is_false(task.late)
  end)

  it("tell how it goes", function()
    local go = async.event()
    local task = schedule(function()
      go:wait()
      return "x", nil
    end)
    assert.same({ status = "waiting", attempt = 0 }, app.before)
    wait.wait_until(function() return task.status == "running" end)
    assert.equal(1, task.attempt)
    assert.is_nil(task.results)
    go:set()
    task:wait()
    assert.same({ n = 2, "x" }, task.results)
  end)

  it("cannot be set, but for progress, which any holder reads and writes", function()
    local task
    local holder = schedule(function()
      wait.wait_until(function() return task end)
      task.progress = 0.5
      wait.wait_until(function() return task.progress == "nearly" end)
    end)
    assert.is_nil(holder.progress)
    task = holder
    wait.wait_until(function() return holder.progress == 0.5 end)
    holder.progress = "nearly"
    holder:wait()
    assert.equal("nearly", holder.progress)
    holder.progress = nil
    assert.is_nil(holder.progress)
    local _, err = pcall(function() holder.status = "done" end)
    assert.is_truthy(err:find('a task has no field "status" that can be set', 1, true), err)
  end)

  it("have the progress for on_error", function()
    local task, seen
    handle(function(req)
      task = req.tasks:task { on_error = function(failed) seen = failed.progress end }
        :schedule(function()
          task.progress = 7
          error "no"
        end)
    end)
    wait.wait_until(function() return seen end)
    assert.equal(7, seen)
  end)
end)

describe("started", function()
  it("is an event that is set when the function begins (P42)", function()
    local order = {}
    handle(function(req)
      local task = req.tasks:schedule(function() order[#order + 1] = "begins" end)
      order[#order + 1] = tostring(task.started:is_set())
      task.started:wait()
      assert(task.started == task.started)
      order[#order + 1] = tostring(task.started:is_set())
    end)
    assert.equal("false", order[1])
    assert.same({ begins = true, ["true"] = true }, { [order[2]] = true, [order[3]] = true })
    assert.is_true(schedule(async.checkpoint).started:wait())
  end)

  it("is not set by a task that never begins, and can be waited for with a limit", function()
    handle(function(req)
      local task = req.tasks.after_response:schedule(print)
      local ok, err = pcall(task.started.wait, task.started, 0.001)
      app.note(tostring(ok) .. " " .. err.kind)
      task:cancel()
      app.task = task
    end)
    until_ended(app.task)
    assert.same({ "false timeout" }, app.events)
    assert.is_false(app.task.started:is_set())
  end)

  it("is there for blocking functions and spawned ones", function()
    handle(function(req)
      local blocking, spawned = req.tasks:schedule(app.echo, 1), async.spawn(async.checkpoint)
      blocking.started:wait()
      spawned.started:wait()
      app.tasks_started = { blocking, spawned }
    end)
    assert.same({ 1 }, { app.tasks_started[1]:wait() })
    assert.same({}, { app.tasks_started[2]:wait() })
  end)
end)

describe("response", function()
  --- What an after_response task reads of the response of a handler that returns so.
  local function response_of(...)
    local results, task = table.pack(...), nil
    handle(function(req)
      assert(req.tasks:schedule(async.checkpoint).response == nil)
      task = req.tasks.after_response:schedule(function()
        local response = task.response
        return response.status, response.body, response.delivered, response.headers["x-a"]
      end)
      return table.unpack(results, 1, results.n)
    end)
    until_ended(task)
    assert.is_truthy(task.response, task.traceback)
    return task.results, task
  end

  it("is that of its request, whatever the handler returned", function()
    local object = perilune.response { status = 201, body = "x", headers = { ["x-a"] = "1" } }
    local results, task = response_of(object)
    assert.same({ n = 4, 201, "x", true, "1" }, results)
    assert.equal(object, task.response)
    assert.same({ n = 4, 200, "text", true }, (response_of("text")))
    assert.same({ n = 4, 202, '{"a":1}', true }, (response_of(202, { a = 1 })))
    assert.same({ n = 4, 204, nil, true }, (response_of()))
  end)

  it("is that of an error, which it has", function()
    for _, row in ipairs {
      { function() error("no", 0) end, 500, "no" },
      { function() perilune.abort(404, "gone") end, 404, "404: gone" },
    } do
      local task
      handle(function(req)
        task = req.tasks.after_response:task { outcome = "failure" }:schedule(function()
          return task.response.status, tostring(task.response.error), task.response.delivered
        end)
        row[1]()
      end)
      assert.same({ n = 3, row[2], row[3], true }, until_ended(task).results)
    end
  end)

  it("is there for on_error, and after a failure", function()
    local task, seen
    handle(function(req)
      task = req.tasks.after_response:task { on_error = function(failed)
        seen = failed.response.status
      end }:schedule(error, "no")
      return 202, "x"
    end)
    wait.wait_until(function() return seen end)
    assert.equal(202, seen)
    assert.equal(202, until_ended(task).response.status)
  end)
end)

describe("what a task's function returns", function()
  it("is not a coroutine that nobody would run (P44)", function()
    local suspended = coroutine.create(coroutine.yield)
    coroutine.resume(suspended)
    for _, co in ipairs { coroutine.create(print), suspended } do
      local task = until_ended(schedule(function() return co end))
      assert.equal("failed", task.status)
      assert.is_truthy(tostring(task.error):find("returned a coroutine", 1, true), task.error)
    end
    local ended = coroutine.create(function() end)
    coroutine.resume(ended)
    assert.equal(ended, until_ended(schedule(function() return ended end)).results[1])
  end)

  it("comes from any callable (P44)", function()
    local callable = setmetatable({}, { __call = function(_, ...) return "called", ... end })
    assert.same({ n = 2, "called", 1 }, until_ended(schedule(callable, 1)).results)
  end)
end)

describe("task:call", function()
  it("runs its function once more, for any holder, and raises its error", function()
    local calls = 0
    local task = until_ended(schedule(function(fails)
      calls = calls + 1
      if fails then error("call " .. calls, 0) end
      return calls
    end, true))
    assert.equal("call 1", task.error)
    assert.same({ false, "call 2" }, { pcall(task.call, task) })
    assert.equal("call 1", task.error)
  end)

  it("sends a blocking function what it was scheduled with, whatever has become of that", function()
    local sent = { "as it was" }
    local task = schedule(app.echo, sent, nil, "text")
    sent[1] = "as it is"
    until_ended(task)
    for _ = 1, 2 do
      assert.same({ n = 3, { "as it was" }, nil, "text" }, table.pack(task:call()))
    end
    assert.same({ n = 2, 1, nil }, table.pack(until_ended(schedule(app.echo, 1, nil)):call()))
  end)

  it("says what is wrong", function()
    local task = schedule(async.checkpoint)
    local _, err = pcall(task.call)
    assert.is_truthy(err:find("use a colon (task:call)", 1, true), err)
  end)
end)

describe("a cancelled task", function()
  it("affects itself alone (P75)", function()
    local other
    handle(function(req)
      req.tasks:schedule(function() error(select(2, pcall(error, { kind = "cancelled" }))) end)
      other = req.tasks:schedule(function()
        async.checkpoint()
        return "other"
      end)
    end)
    assert.equal("other", other:wait())
  end)
end)
