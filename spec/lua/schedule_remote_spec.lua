-- schedule_remote_spec.lua - tasks that blocking functions schedule run on the request's loop.
--
-- Requests are real, and spec/apps/schedule_remote is loaded into the spec's own state, which is
-- where plain tasks have to run; the pool's threads have states of their own.
local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local site = require "support.site"
local wait = require "support.wait"

local client, app

setup(function()
  client = site.open "schedule_remote"
  app = client.app
end)
teardown(function() client:close() end)
before_each(function() app.reset() end)

local function events(count)
  wait.wait_until(function() return #app.events >= count end, nil, function()
    return ("%d events: %s"):format(count, table.concat(app.events, ", "))
  end)
  for _ = 1, 5 do async.checkpoint() end
  return app.events
end

--- The stress build forgets tasks at once.
local function skip_under_stress()
  if os.getenv "STRESS" == "1" then pending "ended tasks are kept too short a time" end
end

local function get(path, status)
  local res = client:get(path)
  assert.equal(status or 200, res.status, res.body)
  return res
end

describe("a blocking handler", function()
  it("schedules for all timings, in their order (P10, P38)", function()
    get("/three", 204)
    assert.same({ "A", "B", "C" }, events(3))
  end)

  it("keeps the order of scheduling", function()
    get("/many", 204)
    local expected = {}
    for i = 1, 200 do expected[i] = tostring(i) end
    assert.same(expected, events(200))
  end)

  it("that fails has its immediate tasks only (P17, P21)", function()
    get("/failing", 500)
    assert.same({ "now" }, events(1))
  end)

  it("gets a handle: results, with holes, fields and the place that they ran in (P10, P41, P43)",
    function()
      local res = get("/results"):json()
      assert.same({ "http", 1, true, 3.0, 4 }, { table.unpack(res.plain) })
      assert.same({ "pool", 2 }, { table.unpack(res.blocking) })
      assert.equal("done", res.status)
      assert.equal("where", res.name)
      assert.equal(3, res.args)
      assert.is_true(res.is_other)
      assert.truthy(res.id:find "^%x+$")
    end)

  it("schedules closures, which take copies of what they have (P40)", function()
    assert.equal("hi!", get("/closure?text=hi").body)
  end)

  it("hands its context and the request's id down (P47)", function()
    assert.same({ user = "ann", is_same_request = true }, get("/context"):json())
  end)

  it("is raised the errors of both kinds of task (P66)", function()
    assert.same({
      plain = { ok = false, kind = "wrong", name = "plain" },
      blocking = { ok = false, kind = "wrong", name = "blocking" },
    }, get("/wrong"):json())
  end)

  it("gives options along: name, on_error, on_error = false (P49, P51, P58)", function()
    get("/on_error", 204)
    local seen = events(2)
    table.sort(seen)
    assert.same({ "on_error first  one", "on_error second  two" }, seen)
  end)

  it("sees the status change, cancels, and is told the reason (P43, P80)", function()
    assert.same({ ok = false, kind = "cancelled", message = "cancelled: enough",
      status = "cancelled" }, get("/live"):json())
  end)

  it("waits no longer than it wants to", function()
    assert.same({ ok = false, kind = "timeout", status = "running" }, get("/timeout"):json())
    app.open.held = true
  end)

  it("is told what cannot cross, and nothing is scheduled", function()
    local res = get("/cannot_cross"):json()
    assert.is_false(res.ok)
    assert.equal("transfer", res.kind)
    assert.truthy(res.message:find("argument 1 (userdata)", 1, true), res.message)
    assert.same({}, app.events)
  end)

  it("is told when it would wait for ever", function()
    local res = get("/never"):json()
    assert.is_false(res.ok)
    assert.truthy(res.error:find("would never end", 1, true), res.error)
    assert.same({ "later" }, events(1))
  end)

  it("is told so through a loop, where what the handler has spawned may wait", function()
    local res = get("/never_through_loop"):json()
    assert.truthy(res.blocking:find("would never end", 1, true), res.blocking)
    assert.equal("timeout", res.limited)
    assert.same({ "later" }, events(1))
  end)
end)

describe("a blocking task", function()
  it("schedules after its request is over, and the task is late (P37, P93)", function()
    get("/late", 204)
    assert.same({ "late" }, events(1))
  end)
end)

describe("a handle", function()
  it("comes back to the loop as the task itself", function()
    local res = get("/handed_back"):json()
    assert.equal("where", res.name)
    assert.same({ "http", "back" }, { table.unpack(res.results) })
  end)

  it("goes on to another pool thread, which can wait for the task though it has ended", function()
    skip_under_stress()
    assert.same({ role = "http", value = "back" }, get("/handed_on"):json())
  end)
end)

describe("req.tasks, perilune.tasks and app.tasks", function()
  it("run plain tasks on the request's loop, from a handler and from the pool (P8, P9)", function()
    for _, path in ipairs { "/each", "/each_in_pool" } do
      app.reset()
      local seen = get(path):json()
      assert.same({ req = "http", current = "http", app = "http" },
        { req = seen.req, current = seen.current, app = seen.app }, path)
      local noted = table.move(events(2), 1, 2, 1, {})
      table.sort(noted)
      assert.same({ "app", "current" }, noted, path)
    end
  end)

  it("do so from a background loop, which runs the app's own tasks itself", function()
    local seen = get("/each_on_loop"):json()
    assert.same({ req = "http", current = "http", app = "background" },
      { req = seen.req, current = seen.current, app = seen.app })
    assert.same({ "current" }, events(1))
  end)

  it("are the loop's that a blocking function was called from, without a request", function()
    assert.same({ "http", "http" }, get("/app_task"):json())
  end)
end)

describe("an id", function()
  local places = { "/find", "/find_in_pool" }

  it("finds the task from any state, while it runs and after its end", function()
    skip_under_stress()
    local id = get("/start/found").body
    for _, place in ipairs(places) do
      wait.wait_until(function()
        return client:get(place .. "?id=" .. id):json().status == "running"
      end)
      assert.equal("hold", get(place .. "?id=" .. id):json().name)
    end
    app.open.found = true
    for _, place in ipairs(places) do
      wait.wait_until(function()
        return client:get(place .. "?id=" .. id):json().status == "done"
      end)
      assert.equal("found", get(place .. "?id=" .. id):json().result)
    end
  end)

  it("serves to cancel it from there", function()
    local id = get("/start/stopped").body
    assert.same({ ok = false, status = "cancelled" }, get("/stop?id=" .. id):json())
  end)

  it("of no task finds nothing", function()
    local id = get("/start/known").body
    app.open.known = true
    for _, wrong in ipairs {
      "", "x", "12", "0000000000000001", "00000000000000011", id .. "x", id:upper() .. "G",
      "0000000000000001ffff", " " .. id, id .. "0", "-000000000000001" .. "1",
    } do
      for _, place in ipairs(places) do
        local escaped = wrong:gsub("%W", function(char) return ("%%%02x"):format(char:byte()) end)
        assert.same({ found = false }, get(place .. "?id=" .. escaped):json(), wrong)
      end
    end
  end)
end)

describe("the log", function()
  local server

  setup(function() server = site.start "schedule_remote" end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  it("names the line that scheduled a task which fails", function()
    server:get "/on_error"
    local text = wait.for_log(server, "task failed task=first (.-scheduled at:[^\n]*\n[^\n]*)")
    assert.truthy(text:find "app.lua:%d+")
  end)
end)
