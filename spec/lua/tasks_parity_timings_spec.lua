-- tasks_parity_timings_spec.lua - the checklist of tasks, P18 to P38: after_route, after_response.
--
-- One case for each promise, in the order of the list. Handlers and streams are functions of the
-- spec: spec/apps/tasks_parity calls app.handler and app.stream. What the log says is asked of a
-- server process.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local raw = require "support.raw"
local site = require "support.site"
local task_site = require "support.task_site"
local wait = require "support.wait"

local BIG_BYTES = 32 * 1024 * 1024
local READ_BYTES = 1024 * 1024

local served, app, client

setup(function()
  served = task_site.open "tasks_parity"
  app, client = served.app, served.client
end)
teardown(function() served:close() end)
before_each(function() app.reset() end)

--- Three tasks of a timing start in their order and run at once: they end in the opposite order.
local function expect_concurrent(timing)
  local starts, ends = served:run_three(timing)
  assert.same({ "1", "2", "3" }, starts)
  assert.same({ 3, 2, 1 }, ends)
end

--- What is started of two tasks, one of them now, when the handler then ends so.
local function expect_started(timing, expected, finish, path)
  app.reset()
  local task
  local res = served:handle(function(req)
    req.tasks:schedule(app.note, "now")
    task = task_site.timed(req.tasks, timing):schedule(app.note, timing)
    return finish(req)
  end, path)
  task_site.ended(task)
  assert.same(expected, served:events(#expected))
  return res
end

local function raise() error "the handler fails" end
local function send_no_json() return { 1, 2, a = 3 } end

--- Sends a request on a connection of its own, and gives that.
local function ask(path)
  local connection = raw.connect(served.port)
  connection:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(path))
  return connection
end

--- Reads so many bytes or more, and lets others run meanwhile.
local function receive(connection, bytes)
  connection.tcp:settimeout(0)
  wait.wait_until(function()
    local data, _, part = connection.tcp:receive(READ_BYTES)
    bytes = bytes - #(data or part)
    return bytes <= 0
  end, nil, function() return bytes .. " bytes" end)
end

--- Schedules for after_response with each outcome, to note that.
local function schedule_outcomes(req)
  for _, outcome in ipairs { "success", "failure", "any" } do
    req.tasks.after_response:task { outcome = outcome }:schedule(app.note, outcome)
  end
end

describe("an after_route task", function()
  it("P18: does not start before the handler has returned", function()
    served:handle(function(req)
      served:schedule_three(req.tasks)
      async.checkpoint()
      async.checkpoint()
      app.note "handler"
    end)
    assert.same({ "A", "handler", "B", "C" }, served:events(4))
  end)

  it("P19: starts before the response is out, which does not wait for it", function()
    local gate, delivered = task_site.gate(), nil
    local response = perilune.response { body = "x" }
    local task
    served:handle(function(req)
      task = req.tasks.after_route:schedule(function()
        delivered = tostring(response.delivered)
        return gate.wait "ended"
      end)
      return response
    end)
    assert.equal("nil", delivered)
    assert.equal("running", task.status)
    gate.open()
    assert.equal("ended", task:wait())
  end)

  it("P20: starts in the order of scheduling, and runs beside the others", function()
    expect_concurrent "after_route"
  end)

  it("P21: is not started when the handler raises, or aborts", function()
    assert.equal(500, expect_started("after_route", { "now" }, raise).status)
    assert.equal(404, expect_started("after_route", { "now" }, function()
      perilune.abort(404)
    end).status)
  end)

  it("P22: is started when the handler returns the response of an error", function()
    assert.equal(500, expect_started("after_route", { "now", "after_route" }, function()
      return 500, "returned"
    end).status)
  end)

  it("P23: is not started when what the handler returns is no response", function()
    for _, timing in ipairs { "after_route", "after_response" } do
      assert.equal(500, expect_started(timing, { "now" }, send_no_json).status)
    end
  end)

  it("P24: is not started when what guards the handler refuses the request", function()
    local handled = false
    app.guard = function(req, proceed)
      req.tasks.after_route:schedule(app.note, "guard")
      if not req.query.user then perilune.abort(401) end
      req:json()
      return proceed()
    end
    local function handler() handled = true end
    assert.equal(401, served:handle(handler, "/guarded").status)
    assert.equal(400, served:handle(handler, "/guarded?user=ann").status)
    assert.is_false(handled)
    assert.same({}, served:events(0))
  end)

  it("P25: is dropped with a log line and counted, unless it wants the failure", function()
    local server = site.start("tasks", { "--log-level", "debug", "--admin", "127.0.0.1:0" })
    finally(function() server:kill() end)
    local admin = wait.for_log(server, "admin endpoint open url=http://%S-:(%d+)%s")
    server:get "/end/abort"
    assert.equal("3", wait.for_log(server, "tasks dropped: the handler failed .- tasks=(%d+)"))
    local metrics = raw.request(math.tointeger(tonumber(admin)),
      "GET /-/metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").body
    assert.equal("3", metrics:match "\nperilune_tasks_dropped_total%b{} (%d+)")
    assert.equal(0, server:stop(), server:log())
    served:handle(function(req)
      for _, outcome in ipairs { "success", "failure", "any" } do
        req.tasks.after_route:task { outcome = outcome }:schedule(app.note, outcome)
      end
      raise()
    end)
    assert.same({ "failure", "any" }, served:events(2))
  end)

  it("P26: starts before the first chunk of a stream", function()
    app.stream = function(write)
      app.note "chunk"
      write "x"
    end
    served:handle(function(req)
      req.tasks:schedule(app.note, "now")
      req.tasks.after_route:schedule(app.note, "task")
    end, "/stream")
    assert.same({ "now", "task", "chunk" }, served:events(3))
  end)
end)

describe("an after_response task", function()
  it("P27: does not start before the whole response is out", function()
    local task
    app.handler = function(req)
      task = req.tasks.after_response:schedule(function() return task.response.delivered end)
      return ("x"):rep(BIG_BYTES)
    end
    local connection = ask "/do"
    wait.wait_until(function() return task end)
    task_site.settle()
    assert.equal("waiting", task.status)
    receive(connection, BIG_BYTES)
    assert.is_true(task_site.ended(task).results[1])
    connection:close()
  end)

  it("P28: comes after the two other timings, from a handler of any kind", function()
    served:handle(function(req) served:schedule_three(req.tasks) end)
    client:get "/blocking/three"
    client:get "/background/three"
    assert.equal("A B C A B C A B C", table.concat(served:events(9), " "))
  end)

  it("P29: starts in the order of scheduling, and runs beside the others", function()
    expect_concurrent "after_response"
  end)

  it("P30: starts behind the last chunk of a stream", function()
    app.stream = function(write)
      for i = 1, 3 do
        write "x"
        async.checkpoint()
        app.note(i)
      end
    end
    served:handle(function(req) req.tasks.after_response:schedule(app.note, "task") end, "/stream")
    assert.same({ "1", "2", "3", "task" }, served:events(4))
  end)

  it("P31: starts when the client leaves in the middle of a stream, and can see that", function()
    local ended, task
    app.stream = function(write)
      local ok, err = pcall(function() while true do write(("x"):rep(1024)) end end)
      ended = not ok and err.kind
      error(err, 0)
    end
    app.handler = function(req)
      task = req.tasks.after_response:schedule(function() return task.response.delivered end)
    end
    local connection = ask "/stream"
    wait.wait_until(function() return task end)
    connection:reset()
    assert.is_false(task_site.ended(task).results[1])
    assert.equal("disconnected", ended)
  end)

  it("P32: is not started when the stream raises, unless it wants the failure", function()
    app.handler = schedule_outcomes
    app.stream = function(write)
      write "begun"
      error "in the middle"
    end
    pcall(client.get, client, "/stream")
    assert.same({ "failure", "any" }, served:events(2))
  end)

  it("P33: starts though the client has left before the handler returned", function()
    local gate = task_site.gate()
    app.handler = function(req)
      served:schedule_three(req.tasks)
      app.note "handler"
      gate.wait()
      app.note "end"
      return "nobody reads this"
    end
    local connection = ask "/do"
    served:events(2)
    connection:reset()
    gate.open()
    assert.same({ "handler", "A", "end", "B", "C" }, served:events(5))
  end)

  it("P33: can see that the client has left before the handler returned", function()
    for _, leave in ipairs { "close", "reset" } do
      local task
      app.handler = function(req)
        task = req.tasks.after_response:schedule(function() return task.response.delivered end)
        wait.wait_until(function() return req:is_disconnected() end)
        return "nobody reads this"
      end
      local connection = ask "/do"
      wait.wait_until(function() return task end)
      connection[leave](connection)
      assert.is_false(task_site.ended(task).results[1])
    end
  end)

  it("P34: is not started when the handler fails, and is told so", function()
    assert.equal(500, expect_started("after_response", { "now" }, raise).status)
    local reason
    served:handle(function(req)
      req.tasks.after_response:task { on_cancel = function(_, why) reason = why end }
        :schedule(app.note, "task")
      raise()
    end)
    wait.wait_until(function() return reason end)
    assert.equal("its handler failed before the task was due", reason)
  end)

  it("P35: is not behind other tasks of the request, spawned or scheduled before it", function()
    local gate = task_site.gate()
    local slow
    served:handle(function(req)
      slow = { async.spawn(gate.wait), req.tasks:schedule(gate.wait),
        req.tasks.after_route:schedule(gate.wait), req.tasks.after_response:schedule(gate.wait) }
      req.tasks.after_response:schedule(app.note, "task")
    end)
    assert.same({ "task" }, served:events(1))
    gate.open()
    for _, task in ipairs(slow) do task:wait() end
  end)

  it("P36: does not delay the next request of its connection", function()
    local gate, tasks = task_site.gate(), {}
    app.handler = function(req)
      tasks[#tasks + 1] = req.tasks.after_response:schedule(gate.wait)
      if #tasks == 2 then tasks[1].started:wait() end
      app.note(tasks[1].status)
    end
    local connection = ask "/do"
    connection:send "GET /do HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert.same({ "waiting", "running" }, served:events(2))
    gate.open()
    for _, task in ipairs(tasks) do task:wait() end
    connection:close()
  end)

  it("P37: starts at once, and is late, when its point has passed; after_route, too", function()
    local gate, late = task_site.gate(), {}
    served:handle(function(req)
      local tasks = req.tasks
      tasks:schedule(function()
        gate.wait()
        for i, timing in ipairs { "after_route", "after_response" } do
          late[i] = tasks[timing]:schedule(app.note, timing)
        end
      end)
    end)
    gate.open()
    assert.same({ "after_route", "after_response" }, served:events(2))
    assert.same({ true, true }, { late[1].late, late[2].late })
  end)

  it("P38: works the same for a coroutine handler and a blocking one", function()
    served:handle(function(req) served:schedule_three(req.tasks) end)
    local of_coroutine = { table.unpack(served:events(3)) }
    app.reset()
    assert.equal(200, client:get("/blocking/three").status)
    assert.same(of_coroutine, served:events(3))
  end)
end)
