-- tasks_parity_errors_spec.lua - the checklist of tasks, P61 to P80 and P93 to P97: kinds of
-- functions, errors, and what goes beyond.
--
-- One case for each promise, in the order of the list; P91 and P96 are for later. Handlers are
-- functions of the spec: spec/apps/tasks_parity calls app.handler.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local program = require "support.program"
local site = require "support.site"
local task_site = require "support.task_site"
local wait = require "support.wait"

local TIMINGS, fail, ended = task_site.TIMINGS, task_site.fail, task_site.ended

local served, app, client

setup(function()
  served = task_site.open "tasks_parity"
  app, client = served.app, served.client
end)
teardown(function() served:close() end)
before_each(function() app.reset() end)

--- The path of a file that is not there, and is removed after the case.
local function absent_file()
  local path = os.tmpname()
  os.remove(path)
  finally(function() os.remove(path) end)
  return path
end

--- Runs a task that fails with err, for each timing and kind: fn(task, timing) once it has ended.
local function each_failure(options, err, fn)
  for _, timing in ipairs(TIMINGS) do
    for _, failing in ipairs { fail, app.blocking.fail, app.background.fail } do
      app.reset()
      fn(served:run(timing, options, failing, err), timing)
    end
  end
end

describe("where a task runs", function()
  it("P61: is decided by its function: on the loop, or in the pool", function()
    assert.equal("http", served:run("now", nil, app.where, 1):wait())
    assert.equal("pool", served:run("now", nil, app.blocking.where, 1):wait())
    assert.equal("background", served:run("now", nil, app.background.where, 1):wait())
  end)

  it("P62: makes no difference to the call; kinds are mixed in one handler", function()
    local tasks = {}
    served:handle(function(req)
      for _, timing in ipairs(TIMINGS) do
        for _, fn in ipairs { app.where, app.blocking.where, app.background.where } do
          tasks[#tasks + 1] = task_site.timed(req.tasks, timing):schedule(fn, #tasks)
        end
      end
    end)
    local roles = {}
    for i, task in ipairs(tasks) do roles[i] = task:wait() end
    assert.equal(("http pool background "):rep(3), table.concat(roles, " ") .. " ")
  end)

  it("P63: a blocking task never holds the loop: others are answered meanwhile", function()
    local path = absent_file()
    local task = served:schedule("now", nil, app.blocking.await_file, path)
    for _ = 1, 20 do assert.equal(204, served:handle(function() end).status) end
    assert.equal("running", task.status)
    app.append(path, "go")
    task:wait()
  end)

  it("P64: blocking tasks have their own pool, which keeps no handler waiting", function()
    local path, tasks = absent_file(), {}
    served:handle(function(req)
      for i = 1, 60 do tasks[i] = req.tasks:schedule(app.blocking.await_file, path) end
    end)
    assert.equal("pool", client:get("/blocking/three").body)
    assert.is_false(tasks[60].status == "done")
    app.append(path, "go")
    for _, task in ipairs(tasks) do task:wait() end
  end)

  it("P65: a task that holds its loop is reported by its name, request and line", function()
    local directory = program.make_directory { ["app.lua"] = [[
local async = require "perilune.async"
local perilune = require "perilune"
local app = perilune.app {}
local function hold(path)
  repeat local file = io.open(path) until file and file:close()
end
local function plain(path) hold(path) end
local function limited(path) hold(path) end
local function child(path) hold(path) end
local function one_of_two(path) hold(path) end
local on_loop = perilune.background("analytics", function(path) hold(path) end)
local function child_on_loop(path) hold(path) end
local spawns = perilune.background("analytics", function(path)
  async.spawn(child_on_loop, path):wait()
end)
local how = {}
function how.plain(tasks, path) tasks:schedule(plain, path) end
function how.monthly(tasks, path) tasks:task { name = "monthly" }:schedule(hold, path) end
function how.limited(tasks, path) tasks:task { timeout = 99 }:schedule(limited, path) end
function how.child(tasks, path)
  tasks:task { name = "parent" }:schedule(function() async.spawn(child, path):wait() end)
end
function how.one_of_two(tasks, path)
  tasks:schedule(function() async.gather(async.checkpoint, { one_of_two, path }) end)
end
function how.on_loop(tasks, path) tasks:schedule(on_loop, path) end
function how.child_on_loop(tasks, path) tasks:schedule(spawns, path) end
app:get("/{how}", function(req)
  how[req.params.how](req.tasks.after_response, req.query.path)
end)
return app
]] }
    local server = site.start_at(directory)
    finally(function()
      server:kill()
      program.remove_directory(directory)
    end)
    for _, how in ipairs { "plain", "monthly", "limited", "child", "one_of_two", "on_loop",
      "child_on_loop" } do
      local path = directory .. "/" .. how .. ".released"
      server:get("/" .. how, { query = { path = path } })
      wait.for_log(server, ("the event loop is held worker=%s [^\n]*runs=%s request=%%x+ "
        .. ".-(app.lua:5): in "):format(how:find "loop" and "background" or "http", how))
      app.append(path, "go")
    end
  end)

  it("P66: a blocking task's error comes to on_error as any other", function()
    local seen = {}
    for _, fn in ipairs { fail, app.blocking.fail, app.background.fail } do
      local told
      served:run("now", { name = "x", on_error = function(task, err)
        told = { task.name, task.status, task.args.n, err.kind, err.code }
      end }, fn, { kind = "mine", code = 7 })
      wait.wait_until(function() return told end)
      seen[#seen + 1] = told
    end
    for _, told in ipairs(seen) do assert.same({ "x", "failed", 1, "mine", 7 }, told) end
  end)
end)

describe("a failing task", function()
  it("P67: never changes the response", function()
    for _, timing in ipairs(TIMINGS) do
      local res = served:handle(function(req)
        task_site.timed(req.tasks, timing):schedule(fail, "no")
        async.checkpoint()
        return 201, "not changed"
      end)
      assert.same({ 201, "not changed" }, { res.status, res.body })
    end
  end)

  it("P68: never touches other tasks", function()
    local gate, others, failing = task_site.gate(), {}, nil
    served:handle(function(req)
      for i, timing in ipairs(TIMINGS) do
        others[i] = task_site.timed(req.tasks, timing):schedule(gate.wait, timing)
      end
      failing = req.tasks.after_response:schedule(fail, "no")
    end)
    ended(failing)
    gate.open()
    for i, task in ipairs(others) do assert.equal(TIMINGS[i], task:wait()) end
  end)

  it("P69: is logged with its traceback and what it is, with and without on_error", function()
    local server = site.start "tasks"
    finally(function() server:kill() end)
    for i, handler in ipairs { "none", "blocking" } do
      server:get(("/fail/now/plain/%s?what=what%d"):format(handler, i))
      wait.for_log(server, ("task failed task=failing attempt=1 request=%%x+ error=what%d "
        .. "?\n    stack traceback:.-(app.lua:%%d+)"):format(i))
    end
  end)

  it("P69: is logged with its traceback when it aborts", function()
    local task = ended(served:run("now", nil, function() perilune.abort(404, "gone") end))
    assert.equal("failed", task.status)
    assert.is_truthy(task.traceback:find "in .-\n.*tasks_parity_errors_spec.lua:%d+")
  end)

  it("P70: has on_error called once, behind the log line, with the task and the error", function()
    each_failure({ name = "x", on_error = function(task, err)
      app.note(task.name, task.status, task.args[1], err)
    end }, "no", function() assert.same({ "x failed no no" }, served:events(1)) end)
    local server = site.start "tasks"
    finally(function() server:kill() end)
    server:get "/fail/now/plain/failing"
    wait.for_log(server, "task failed .-(on_error of a task failed)")
  end)

  it("P71: has on_error of any kind, whatever its own", function()
    for _, failing in ipairs { fail, app.blocking.fail, app.background.fail } do
      local path, told = absent_file(), nil
      served:run("now", { name = "x", on_error = function(_, err)
        async.checkpoint()
        told = err
      end }, failing, "no")
      wait.wait_until(function() return told == "no" end)
      for _, place in ipairs { "blocking", "background" } do
        os.remove(path)
        served:run("now", { name = "x", on_error = app[place].tell_error }, failing, "no", path)
        wait.wait_until(function() return program.read(path) == "x failed no\n" end)
      end
    end
  end)

  it("P72: has on_error called for all timings", function()
    for _, timing in ipairs(TIMINGS) do
      served:run(timing, { on_error = function(_, err) app.note(err) end }, fail, timing)
    end
    assert.same(TIMINGS, served:events(3))
  end)

  it("P73: has one on_error, which may do several things; a later one takes its place", function()
    local function note_twice(_, err)
      app.note("log", err)
      app.note("mail", err)
    end
    served:handle(function(req)
      req.tasks:task { on_error = fail }:task { on_error = note_twice }:schedule(fail, "no")
    end)
    assert.same({ "log no", "mail no" }, served:events(2))
  end)

  it("P74: may have an on_error that fails: both are logged, and nothing else happens", function()
    local gate, other = task_site.gate(), nil
    for _, on_error in ipairs { fail, app.blocking.fail, app.background.fail } do
      served:handle(function(req)
        other = req.tasks:schedule(gate.wait, "other")
        req.tasks:task { on_error = on_error }:schedule(fail, "no")
      end)
    end
    assert.equal(204, served:handle(function() end).status)
    gate.open()
    assert.equal("other", other:wait())
    local server = site.start "tasks"
    finally(function() server:kill() end)
    server:get "/fail/now/plain/failing?what=what"
    wait.for_log(server, "on_error of a task failed [^\n]*(task_error=what)")
  end)

  it("P75: that raises a cancellation, or ends in an odd way, affects itself alone", function()
    local odd = {
      function() error(select(2, pcall(error, { kind = "cancelled" }))) end,
      function() error() end,
      function() error(nil) end,
      function() error(setmetatable({}, { __tostring = fail })) end,
      function() coroutine.yield() end,
      function() return coroutine.close(coroutine.running()) end,
      function() async.sleep(0 / 0) end,
    }
    local gate = task_site.gate()
    local other = served:schedule("now", nil, gate.wait, "other")
    for i, fn in ipairs(odd) do
      local task = served:run("now", nil, fn)
      assert.is_true(task.status == "failed" or task.status == "cancelled", tostring(i))
    end
    gate.open()
    assert.equal("other", other:wait())
  end)

  it("P76: may have an on_error that reads its arguments and does other work", function()
    local other
    served:run("now", { on_error = function(task)
      async.checkpoint()
      other = ("%s by letter"):format(task.args[1])
    end }, fail, "mail")
    wait.wait_until(function() return other == "mail by letter" end)
  end)

  it("P77: has its error passed as it is, and handlers by kind", function()
    local err, seen = { kind = "busy" }, nil
    local task = served:run("now", { on_error = {
      busy = function(failed, raised) seen = { raised == err, failed.traceback } end,
      default = fail,
    } }, fail, err)
    wait.wait_until(function() return seen end)
    assert.is_true(seen[1])
    assert.equal(task.traceback, seen[2])
    assert.is_truthy(seen[2]:find "stack traceback:.*scheduled at:\n%s*spec/support/task_site.lua:")
    served:run("now", { on_error = { busy = fail, default = function() app.note "default" end } },
      fail, { kind = "other" })
    assert.same({ "default" }, served:events(1))
  end)

  it("P78: may have an on_error that waits for the network", function()
    local res
    served:run("now", { on_error = function() res = client:get "/blocking/three" end }, fail, "no")
    wait.wait_until(function() return res end)
    assert.equal(200, res.status)
  end)

  it("P79: is retried as its options say, under its name and number; by hand, too", function()
    local calls = 0
    local function flaky(until_call)
      calls = calls + 1
      if calls < until_call then error({ kind = "busy" }, 0) end
      return calls
    end
    local options = { retries = 3, backoff = { initial = 0 } }
    local task = served:run("now", options, flaky, 4)
    assert.same({ "done", 4, 4 }, { task.status, task.attempt, task.results[1] })
    calls = 0
    task = served:run("now", options, flaky, 5)
    assert.same({ "failed", 4, 4 }, { task.status, task.attempt, calls })
    assert.same({ 5 }, { task:call() })
  end)

  it("P80: that is cancelled instead has a state, a reason, and on_cancel", function()
    for _, timing in ipairs(TIMINGS) do
      app.reset()
      local task
      served:handle(function(req)
        task = task_site.timed(req.tasks, timing):task {
          on_error = fail, on_cancel = function(of, reason) app.note(of.status, reason) end,
        }:schedule(async.sleep, 60)
        task:cancel "not wanted"
      end)
      assert.same({ "cancelled not wanted" }, served:events(1))
      assert.equal("cancelled: not wanted", tostring(task.error))
    end
  end)
end)

describe("beyond:", function()
  it("P93: a task schedules further ones, of any kind", function()
    local inner
    local outer = served:schedule("after_response", nil, function()
      inner = { app.tasks:schedule(app.where), app.tasks:schedule(app.blocking.where) }
      return inner[1]:wait()
    end)
    assert.equal("http", outer:wait())
    assert.equal("pool", inner[2]:wait())
  end)

  it("P94: delay, retries with backoff, results, cancel, and metrics", function()
    local at, runs = async.now(), 0
    local task = served:run("now", { delay = 0.01, retries = 1, backoff = { initial = 0.01,
      jitter = false } }, function()
      runs = runs + 1
      if runs == 1 then error("too early", 0) end
      return "in time"
    end)
    assert.same({ "in time", 2 }, { task:wait(), task.attempt })
    assert.is_true(async.now() - at >= 0.02)
    task = served:schedule("now", { delay = 60 }, print)
    task:cancel()
    assert.equal("cancelled", ended(task).status)
    local server = site.start("tasks", { "--admin", "127.0.0.1:0" })
    finally(function() server:kill() end)
    server.url = "http://127.0.0.1:" .. wait.for_log(server,
      "admin endpoint open url=http://%S-:(%d+)%s")
    local metrics = server:get("/-/metrics").body
    for _, name in ipairs { "failed", "dropped", "refused" } do
      assert.is_truthy(metrics:find("\nperilune_tasks_" .. name .. "_total", 1, true), name)
    end
  end)

  it("P95: blocking tasks compute at once, each on a thread of its own", function()
    local one, two = absent_file(), absent_file()
    local tasks = {}
    served:handle(function(req)
      tasks[1] = req.tasks:schedule(app.blocking.meet, one, two)
      tasks[2] = req.tasks:schedule(app.blocking.meet, two, one)
    end)
    assert.same({ "met", "met" }, { tasks[1]:wait(), tasks[2]:wait() })
  end)

  it("P97: a spec waits for the task itself, and sees what it has done", function()
    local sent = {}
    local task = served:schedule("after_response", nil, table.insert, sent, "mail")
    task:wait()
    assert.same({ "mail" }, sent)
  end)
end)
