-- tasks_parity_setup_spec.lua - the checklist of tasks, P1 to P17: reach, and immediate tasks.
--
-- One case for each promise, in the order of the list; P7 (WebSockets) is for later. Handlers are
-- functions of the spec: spec/apps/tasks_parity calls app.handler.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"
local task_site = require "support.task_site"
local wait = require "support.wait"

local served, app, client

setup(function()
  served = task_site.open "tasks_parity"
  app, client = served.app, served.client
end)
teardown(function() served:close() end)
before_each(function() app.reset() end)

describe("tasks, their reach:", function()
  it("P1: work in any handler; where nothing is served one error names the fix", function()
    for _, path in ipairs { "/do", "/inner/do", "/stream" } do
      app.reset()
      app.stream = function(write) write "x" end
      served:handle(function(req) served:schedule_three(req.tasks) end, path)
      assert.same({ "A", "B", "C" }, served:events(3))
    end
    local ok, err = pcall(function() return perilune.tasks end)
    assert.is_false(ok)
    assert.is_truthy(err:find("use it in what the app runs, under `perilune serve`", 1, true), err)
  end)

  it("P2: have the defaults of the app that is returned, however many are made", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
perilune.app { task_defaults = { name = "first" } }
local app = perilune.app { task_defaults = { name = "second" } }
app:get("/", function(req) return req.tasks:schedule(function() end).name end)
return app
]] }
    local server = site.start_at(directory)
    finally(function() server:kill() end)
    assert.equal("second", server:get("/").body)
    assert.equal(0, server:stop(), server:log())
    program.remove_directory(directory)
  end)

  it("P3: are those of the app that another one is mounted in, with their defaults", function()
    local task, tasks
    served:handle(function(req)
      task, tasks = req.tasks:schedule(async.checkpoint), app.inner.tasks
    end, "/inner/do")
    assert.same({ backoff = { initial = 0 } }, task.config)
    assert.are_not.equal("inner", task.name)
    assert.equal(app.tasks, tasks)
  end)

  it("P4: one scheduler for a request; a task outlives it, among all of the app's", function()
    local gate, first, tasks = task_site.gate(), nil, {}
    served:handle(function(req)
      tasks[1], first = req.tasks, req.tasks:schedule(gate.wait, "first")
    end)
    local found
    served:handle(function(req)
      tasks[2], found = req.tasks, app.tasks:find(first.id)
    end)
    assert.are_not.equal(tasks[1], tasks[2])
    assert.equal(first, found)
    assert.equal("running", first.status)
    gate.open()
    assert.equal("first", first:wait())
  end)

  it("P5: one scheduler and one order for middleware, handler and what they call", function()
    local seen = {}
    local function helper(tasks) tasks.after_route:schedule(app.note, "helper") end
    app.guard = function(req, proceed)
      req.tasks.after_route:schedule(app.note, "middleware")
      seen.middleware = req.tasks
      return proceed()
    end
    served:handle(function(req)
      req.tasks.after_route:schedule(app.note, "handler")
      helper(perilune.tasks)
      seen.handler, seen.current = req.tasks, perilune.tasks
    end, "/guarded")
    assert.same({ "middleware", "handler", "helper" }, served:events(3))
    assert.equal(seen.middleware, seen.handler)
    assert.equal(seen.handler, seen.current)
  end)

  it("P6: change nothing where none is scheduled", function()
    local without = served:handle(function() return { a = 1 } end)
    local with = served:handle(function(req) return req.tasks and { a = 1 } end)
    assert.equal(without.body, with.body)
    assert.equal(without.status, with.status)
    assert.same({}, served:events(0))
  end)

  it("P8: can be scheduled in hooks, timers and tasks, outside of a request", function()
    wait.wait_until(function() return app.places.every end, nil, "a task of app:every")
    assert.same({ on_start = true, on_worker = true, every = true }, app.places)
    served:schedule("now", nil, function()
      app.tasks.after_response:schedule(app.note, "of a task")
    end)
    assert.same({ "of a task" }, served:events(1))
  end)

  it("P9: can be scheduled from any thread: of a pool, of a background loop", function()
    for place, role in pairs { blocking = "pool", background = "background" } do
      for _, script in ipairs { "three", "current" } do
        app.reset()
        assert.equal(role, client:get(("/%s/%s"):format(place, script)).body)
        assert.same({ "A", "B", "C" }, served:events(3))
      end
    end
  end)

  it("P10: give a blocking handler a usable handle, for all timings", function()
    local seen = client:get("/blocking/handles"):json()
    assert.same({ results = { "http", 1 }, n = 3, status = "done", later = "waiting",
      named = "app.note", args = 2 }, seen)
    assert.same({ "later" }, served:events(1))
  end)
end)

describe("an immediate task", function()
  it("P11: never runs inside the call", function()
    local order = {}
    served:handle(function(req)
      req.tasks:schedule(function() order[#order + 1] = "task" end)
      order[#order + 1] = "scheduled"
      async.checkpoint()
      order[#order + 1] = "waited"
    end)
    assert.same({ "scheduled", "task", "waited" }, order)
  end)

  it("P12: runs while its handler waits", function()
    local answer = served:handle(function(req)
      local event = async.event()
      req.tasks:schedule(function() event:set() end)
      event:wait()
      return "the task has run"
    end)
    assert.equal("the task has run", answer.body)
  end)

  it("P13: starts in the order of scheduling, and ends when it ends", function()
    local starts, ends = served:run_three "now"
    assert.same({ "1", "2", "3" }, starts)
    assert.same({ 3, 2, 1 }, ends)
  end)

  it("P14: does not keep the response waiting", function()
    local gate = task_site.gate()
    local task = served:schedule("now", nil, gate.wait)
    assert.equal("running", task.status)
    gate.open()
    task:wait()
  end)

  it("P15: comes at the next turn: after what computes now, unless it is blocking", function()
    local path, plain_has_run = os.tmpname(), false
    os.remove(path)
    local seen
    served:handle(function(req)
      local task = req.tasks:schedule(function() plain_has_run = true end)
      req.tasks:schedule(app.blocking.append, path, "from the pool")
      app.await_file(path)
      seen = { plain_has_run, task.status }
    end)
    assert.same({ false, "waiting" }, seen)
    wait.wait_until(function() return plain_has_run end)
    os.remove(path)
  end)

  it("P16: goes on after its request, and after the client has left", function()
    local gate, task = task_site.gate(), nil
    app.handler = function(req)
      task = req.tasks:schedule(gate.wait, "went on")
      while not req:is_disconnected() do async.sleep(0.001) end
    end
    local connection = raw.connect(client.port)
    connection:send "GET /do HTTP/1.1\r\nHost: localhost\r\n\r\n"
    wait.wait_until(function() return task end)
    connection:reset()
    task_site.settle()
    assert.equal("running", task.status)
    gate.open()
    assert.equal("went on", task:wait())
  end)

  it("P17: runs though the handler, or what guards it, fails later", function()
    local function validate(req)
      req.tasks:schedule(app.note, "validation")
      req:json()
    end
    local function raise(req)
      req.tasks:schedule(app.note, "error")
      error "no"
    end
    local function abort(req)
      req.tasks:schedule(app.note, "abort")
      perilune.abort(404)
    end
    assert.equal(500, served:handle(raise).status)
    assert.equal(404, served:handle(abort).status)
    app.handler = validate
    assert.equal(400, client:post("/do", { body = "{" }).status)
    app.guard = function(req)
      req.tasks:schedule(app.note, "guard")
      perilune.abort(401)
    end
    assert.equal(401, served:handle(error, "/guarded").status)
    assert.same({ "error", "abort", "validation", "guard" }, served:events(4))
  end)
end)
