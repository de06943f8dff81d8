-- tasks_spec.lua - req.tasks: timings, order, drops, arguments, errors and handles.
--
-- Requests are real, and spec/apps/tasks is loaded into the spec's own state: what its tasks note
-- is read there, what they wait for is opened there. What the log says is asked of a server
-- process. Names like P21 are the promises that a test keeps.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local TIMINGS = { "now", "after_route", "after_response" }

local client, app

setup(function()
  client = site.open "tasks"
  app = client.app
end)
teardown(function() client:close() end)
before_each(function() app.reset() end)

--- Waits until so many events have been noted, lets others run a little more, and gives them.
local function events(count)
  wait.wait_until(function() return #app.events >= count end, nil, function()
    return ("%d events: %s"):format(count, table.concat(app.events, ", "))
  end)
  for _ = 1, 5 do async.checkpoint() end
  return app.events
end

local function until_ended(task)
  return wait.wait_until(function()
    return task.status ~= "waiting" and task.status ~= "running" and task
  end, nil, "the end of a task")
end

local function get(path, status)
  local res = client:get(path)
  assert.equal(status or 200, res.status, res.body)
  return res
end

describe("timings", function()
  it("keep their order: now, after_route, after_response (P18, P27, P28)", function()
    get("/three", 204)
    local seen = events(4)
    assert.equal("handler", seen[1])
    assert.same({ "A", "B", "C" }, { table.unpack(seen, 2) })
  end)

  it("start several in the order of scheduling (P13, P20, P29)", function()
    get("/many", 204)
    assert.same({ "A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "C3" }, events(9))
  end)

  it("run immediate tasks beside the handler, never inside schedule (P11, P12)", function()
    get("/concurrent", 204)
    assert.same({ "scheduled", "task", "handler goes on" }, events(3))
  end)

  it("do not keep the response waiting (P14, P16, P19, P36)", function()
    for _, timing in ipairs(TIMINGS) do
      app.reset()
      assert.equal(timing, get("/hold/" .. timing).body)
      assert.is_false(app.task_started)
      assert.same({ "handler", timing .. " starts" }, events(2))
      get("/blocking")
      assert.equal("running", app.task.status)
      app.open[timing] = true
      assert.equal(timing, app.task:wait())
    end
  end)

  it("let tasks of one timing run concurrently (P20)", function()
    get("/hold_two", 204)
    assert.same({ "one starts", "two starts" }, events(2))
    app.open.two = true
    assert.equal("two ends", events(3)[3])
    app.open.one = true
    assert.equal("one ends", events(4)[4])
  end)

  it("that have passed start a task at once, which is late (P37)", function()
    get("/late", 204)
    assert.same({ "early" }, events(1))
    assert.is_false(app.early.late)
    app.open.late = true
    assert.same({ "early", "late route", "late response" }, events(3))
    assert.is_true(app.task.late)
    assert.is_true(app.other_task.late)
  end)

  it("all come though the client has left (P16, P33)", function()
    local connection = raw.connect(client.port)
    connection:send "GET /gone HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert.same({ "handler" }, events(1))
    connection:reset()
    app.open.gone = true
    assert.same({ "handler", "A", "B", "C" }, events(4))
    assert.equal("from default", get("/blocking").body)
  end)

  it("use one scheduler for a request (P5)", function()
    assert.is_true(get("/same"):json().same)
  end)
end)

describe("a handler that fails", function()
  for _, way in ipairs { "error", "abort", "wrong_result", "no_json" } do
    it(("by %s has its immediate tasks run, later ones dropped (P17, P21, P23)"):format(way),
      function()
        get("/end/" .. way, way == "abort" and 404 or 500)
        until_ended(app.task)
        assert.equal("cancelled", app.task.status)
        assert.is_false(pcall(app.task.wait, app.task))
        assert.same({ "A" }, events(1))
      end)
  end

  for way, status in pairs { abort_below_400 = 303, returned_500 = 500, response_500 = 500 } do
    it(("not, by %s, has all its tasks run (P22)"):format(way), function()
      get("/end/" .. way, status)
      assert.same({ "A", "B", "kept", "C" }, events(4))
    end)
  end
end)

describe("arguments", function()
  it("are captured with their holes; tables are shared, or copied for the pool (P39, P40)",
    function()
      assert.equal("second", get("/args").body)
      local plain, shared, copied, copied_later = table.unpack(app.task_list)
      assert.same({ n = 5, 4, 1, nil, "first", nil }, table.pack(plain:wait()))
      assert.equal("second", shared:wait())
      assert.same({ n = 4, { "first" }, nil, "first", nil }, table.pack(copied:wait()))
      assert.same({ "first" }, copied_later:wait())
      assert.same({ n = 4, 1, nil, "first", nil }, plain.args)
    end)
end)

describe("a name", function()
  it("is that in the line that defines the function, or the one given (P59)", function()
    local names = get("/names"):json()
    assert.same({ "M.in_module", "assigned", "marked", "hold" }, { table.unpack(names, 1, 4) })
    assert.is_truthy(names[5]:find "^spec/apps/tasks/app.lua:%d+$", names[5])
    assert.equal("mine", names[7])
    assert.is_truthy(table.concat(events(4), ", "):find "called x")
  end)

  it("of a definition serves many tasks; definitions are not changed (P50, P51, P54)", function()
    assert.same({ "one", "one", "two", "one", "one", "note" }, get("/definition"):json())
  end)
end)

describe("a failing task", function()
  it("changes neither response nor other tasks (P67, P68)", function()
    for _, timing in ipairs(TIMINGS) do
      for _, colour in ipairs { "plain", "blocking" } do
        app.reset()
        assert.equal("not changed", get(("/fail/%s/%s/none"):format(timing, colour)).body)
        until_ended(app.task)
        assert.equal("failed", app.task.status)
        assert.equal("boom", app.task.error)
        assert.is_truthy(app.task.traceback:find "stack traceback")
        assert.is_nil(app.task.results)
        assert.same({ false, "boom" }, { pcall(app.task.wait, app.task) })
        assert.same({ "other" }, events(1))
      end
    end
  end)

  it("has on_error called once, in all timings and colours (P70, P71, P72)", function()
    for _, timing in ipairs(TIMINGS) do
      for _, colour in ipairs { "plain", "blocking" } do
        app.reset()
        get(("/fail/%s/%s/plain"):format(timing, colour))
        local seen = events(2)
        table.sort(seen)
        assert.same({ "failing: failed, boom, boom arg", "other" }, seen)
      end
    end
  end)

  it("inherits on_error unless told otherwise (P56, P58)", function()
    get("/inherit", 204)
    assert.same({ "inherited", "own" }, events(2))
  end)
end)

describe("a cancelled task", function()
  it("does not run, and is no failure (P80)", function()
    for _, timing in ipairs(TIMINGS) do
      app.reset()
      get("/cancel/" .. timing, 204)
      until_ended(app.task)
      assert.equal("cancelled", app.task.status)
      local ok, err = pcall(app.task.wait, app.task)
      assert.is_false(ok)
      assert.equal("cancelled", err.kind)
      assert.same({}, events(0))
    end
  end)

  it("is taken out of its pool's queue when it is blocking", function()
    local path, written = os.tmpname(), os.tmpname()
    os.remove(written)
    client:get("/cancel_blocking", { query = { path = path, written = written } })
    local held, cancelled, after = table.unpack(app.task_list)
    until_ended(cancelled)
    assert.equal("cancelled: not wanted", tostring(cancelled.error))
    os.remove(path)
    held:wait()
    assert.equal("next", after:wait())
    assert.is_nil(io.open(written))
  end)

  it("ends at its wait", function()
    get "/hold/now"
    events(2)
    app.task:cancel "enough"
    until_ended(app.task)
    assert.equal("cancelled", app.task.status)
    assert.equal("cancelled: enough", tostring(app.task.error))
    assert.same({ "handler", "now starts" }, events(2))
  end)
end)

describe("blocking tasks", function()
  it("run on a pool of their own, which keeps no handler waiting (P10, P61, P64)", function()
    local path = os.tmpname()
    client:get("/blocking_tasks", { query = { path = path } })
    for _ = 1, 10 do assert.equal("from default", get("/blocking").body) end
    local held, second, third = table.unpack(app.task_list)
    assert.equal("running", held.status)
    assert.is_not.equal("done", second.status)
    os.remove(path)
    assert.same({ "let go", "second", "third" }, { held:wait(), second:wait(), third:wait() })
  end)
end)

describe("a handle", function()
  it("tells what it is of (P41, P43)", function()
    get "/hold/now"
    local task = app.task
    assert.equal("hold", task.name)
    assert.equal("function", type(task.fn))
    assert.same({ n = 1, "now" }, task.args)
    assert.is_truthy(task.id:find "^%x+$")
    assert.equal(task.id, task.id)
    assert.is_false(task.late)
    events(2)
    assert.equal("task: hold (running)", tostring(task))
    assert.is_nil(task.results)
    assert.is_nil(task.error)
    app.open.now = true
    task:wait()
    assert.same({ n = 1, "now" }, task.results)
    assert.equal("task: hold (done)", tostring(task))
  end)

  it("waits where that can end", function()
    local seen = get("/wait"):json()
    assert.same({ 4, "x", 4 }, { seen.n, seen.last, seen.same })
    assert.is_truthy(seen.never:find "this wait would never end")
    assert.is_truthy(seen.of_gather:find "this wait would never end")
    assert.is_truthy(seen.own:find "a task cannot wait for itself")
    assert.same({ "later" }, events(1))
  end)
end)

describe("misuse", function()
  it("is told in words", function()
    local said = get("/misuse"):json()
    local expected = {
      dot = "schedule was called without its tasks: use a colon (tasks:schedule)",
      dot_task = "task was called without its tasks: use a colon (tasks:task)",
      no_function = "a task is a function and its arguments; the function is a string",
      nothing = "a task is a function and its arguments",
      option = 'unknown option "nmae" (did you mean "name"?)',
      name = 'option "name" is a string, not a number',
      on_error = 'option "on_error" is a function, a table of functions by kind, or false, '
        .. "not a string",
      transfer = "argument 1.db (userdata) cannot be sent to another Lua state",
      task_wait = "task.wait was called without its task: use a colon (task:wait)",
      task_cancel = "task.cancel was called without its task: use a colon (task:cancel)",
      unknown = "nil", unknown_of_task = "nil",
    }
    for name, text in pairs(expected) do
      assert.is_truthy(said[name]:find(text, 1, true), ("%s: %s"):format(name, said[name]))
    end
  end)

  it("while the app loads is an error that names on_start", function()
    local directory = program.make_directory { ["app.lua"] = [[
local async = require "perilune.async"
async.spawn(function() end)
]] }
    local result = program.run { "serve", directory, "--port", "0" }
    program.remove_directory(directory)
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find "app.lua:2: nothing can be spawned while the app loads")
    assert.is_truthy(result.err:find "app:on_start")
  end)
end)

describe("the log", function()
  local server

  setup(function() server = site.start("tasks", { "--log-level", "debug" }) end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  local function logged(what)
    return wait.for_log(server, ('task failed (task=failing [^\n]*error=%s\n.*)'):format(what))
  end

  it("has name, attempt, request and traceback of a failed task (P60, P69)", function()
    for i, colour in ipairs { "plain", "blocking" } do
      local what = "boom" .. i
      assert.equal(200, server:get(("/fail/now/%s/none?what=%s"):format(colour, what)).status)
      local line = logged(what)
      assert.is_truthy(line:find "attempt=1 request=%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x ", line)
      assert.is_truthy(line:find "app.lua:%d+: in ", line)
    end
  end)

  it("has an on_error that fails, too, and nothing else happens (P74)", function()
    server:get "/fail/now/plain/failing?what=first"
    server:get "/fail/after_response/blocking/failing?what=second"
    wait.for_log(server, "on_error of a task failed task=failing .-on_error of a task failed")
    assert.equal("from default", server:get("/blocking").body)
  end)

  it("has blocking functions as on_error, of both kinds of tasks (P71)", function()
    for _, colour in ipairs { "plain", "blocking" } do
      assert.equal(200, server:get(("/fail/now/%s/blocking?what=tell"):format(colour)).status)
    end
    wait.for_log(server, "error=\"told by the pool\".-(error=\"told by the pool\")")
  end)

  --- The number of the line of the app's source that has the text.
  local function line_of(text)
    local source = program.read(site.dir "tasks" .. "/app.lua")
    local before = source:sub(1, (source:find(text, 1, true)))
    return 1 + select(2, before:gsub("\n", ""))
  end

  it("has the error of a task that nobody waits for, and the line that made it", function()
    for _, way in ipairs { "spawned", "scheduled" } do
      server:get(("/told/%s?what=told_%s"):format(way, way))
      local line = wait.for_log(server,
        ("error=told_%s\n.-%s at:\n[^\n]-app.lua:(%%d+)"):format(way, way))
      assert.equal(line_of(("-- %s here"):format(way)), math.tointeger(tonumber(line)))
    end
  end)

  it("has errors that came too late for an answer, and those of cancelled tasks", function()
    for _, way in ipairs { "loser", "orphan" } do
      server:get(("/told/%s?what=told_%s"):format(way, way))
      wait.for_log(server,
        ("task failed task=fail_when_cancelled [^\n]*error=(told_%s)"):format(way))
    end
    server:get "/told/cancelled?what=told_cancelled"
    wait.for_log(server, "errors while a task was cancelled [^\n]*error=cancelled\n"
      .. "%s+(another one failed, too: told_cancelled)")
  end)

  it("has a scheduled task that others wait for, too, and its on_error is called", function()
    server:get "/told/gathered?what=told_gathered"
    wait.for_log(server, "task failed task=gathered [^\n]*error=told_gathered.-"
      .. "(on_error of a task failed task=gathered)")
  end)

  it("has nothing of an error that somebody waits for", function()
    assert.equal(204, server:get("/untold?what=untold").status)
    server:get "/told/spawned?what=told_last"
    wait.for_log(server, "error=(told_last)")
    assert.is_nil(server:log():find("untold", 1, true))
  end)

  it("counts dropped tasks (P25)", function()
    server:get "/end/error"
    wait.for_log(server, "tasks dropped: the handler failed request=%x+ tasks=(3)")
  end)
end)
