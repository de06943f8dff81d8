-- test_tasks_spec.lua - what test clients say of the tasks that an app schedules.
--
-- Runs apps/testing. The texts of failed assertions are part of the contract: they are compared.

local test = require "perilune.test"

local APP = "apps/testing"

--- What a failing assertion says.
local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return tostring(type(err) == "table" and err.message or err)
end

describe("the tasks of a test client", function()
  local client

  before_each(function() client = test.client(APP) end)
  after_each(function() client:close() end)

  it("are listed in the order of scheduling, with all that is known of them", function()
    assert.equal(201, client:post("/users", { json = { email = "a@b.c" } }).status)
    client:finish_tasks()
    local names = {}
    for i, entry in ipairs(client.scheduled) do
      names[i] = ("%s %s %s"):format(entry.name, entry.when, entry.status)
    end
    assert.same({ "resize now done", "log_analytics after_route done",
      "send_welcome_email after_response done" }, names)
    assert.equal("a@b.c", client.scheduled[3].args[1])
    assert.same({ retries = 3 }, client.scheduled[3].options)
    assert.equal("function", type(client.scheduled[1].fn))
    assert.matches("send_welcome_email", tostring(client.scheduled[3]), 1, true)
  end)

  it("are there when a pool thread has scheduled them", function()
    assert.equal(204, client:post("/from_pool").status)
    client:finish_tasks()
    assert.task_scheduled(client, "log_analytics", { "from the pool" }, { status = "done" })
  end)

  it("are found by name and by function", function()
    client:post("/users", { json = { email = "a@b.c", plan = { name = "free", seats = 3 } } })
    assert.task_scheduled(client, "send_welcome_email")
    assert.task_scheduled(client, "send_welcome_email", { "a@b.c", { name = "free" } },
      { when = "after_response", options = { retries = 3 } })
    assert.task_scheduled(client, client.scheduled[2].fn, { match.is_string(), match._ })
    assert.task_not_scheduled(client, "send_welcome_email", { "b@b.c", match._ })
    assert.task_not_scheduled(client, "send_invoice")
    assert.task_order(client, { "resize", "send_welcome_email" })
    client:finish_tasks()
  end)

  it("are shown when an assertion fails, with the nearest miss", function()
    client:post("/users", { json = { email = "a@b.c" } })
    client:finish_tasks()
    local list = [[scheduled were:
  resize("a@b.c") when=now status=done
  log_analytics("user_created", "a@b.c") when=after_route status=done
  send_welcome_email("a@b.c", nil) when=after_response status=done]]
    assert.matches("no task send_mail was scheduled; " .. list,
      failure(assert.task_scheduled, client, "send_mail"), 1, true)
    assert.matches([[no such task send_welcome_email was scheduled; the nearest is ]]
      .. [[send_welcome_email("a@b.c", nil) when=after_response status=done]] .. "\n"
      .. [[  argument 1: expected "b@b.c", got "a@b.c"]] .. "\n"
      .. [[  when: expected "now", got "after_response"]],
      failure(assert.task_scheduled, client, "send_welcome_email", { "b@b.c" }, { when = "now" }),
      1, true)
    assert.matches("this task was scheduled: resize",
      failure(assert.task_not_scheduled, client, "resize"), 1, true)
    assert.matches("resize is not scheduled in that order; " .. list,
      failure(assert.task_order, client, { "log_analytics", "resize" }), 1, true)
  end)

  it("may be none", function()
    assert.matches("nothing was scheduled", failure(assert.task_scheduled, client, "x"), 1, true)
    client:finish_tasks()
  end)

  it("fail the spec that waits for all of them", function()
    client:post("/fails")
    local text = failure(client.finish_tasks, client)
    assert.matches("spec/lua/test_tasks_spec.lua:%d+: task break_down failed: .*out of paper", text)
    client:finish_tasks() -- told once
    client:post "/fails?apart"
    assert.matches("task break_apart failed: { code = 7 }", failure(client.finish_tasks, client), 1,
      true)
  end)

  it("are waited for only so long", function()
    client:post("/sleeps")
    assert.matches("finish_tasks: not ended within 0.05 s: nap (running)",
      failure(client.finish_tasks, client, 0.05), 1, true)
    assert.matches("argument 1 is a number of seconds", failure(client.finish_tasks, client, "x"),
      1, true)
  end)
end)

describe("test.replace", function()
  local client, seen

  before_each(function()
    client = test.client(APP)
    seen = {}
  end)
  after_each(function() client:close() end)

  local function note(...) seen[#seen + 1] = table.pack(...) end

  it("puts a function in the place of a plain and of a blocking one", function()
    test.replace(client, "resize", note)
    test.replace(client, "send_welcome_email", note)
    client:post("/users", { json = { email = "a@b.c" } })
    client:finish_tasks()
    assert.same({ { "a@b.c", n = 1 }, { "a@b.c", n = 2 } }, seen)
    assert.task_scheduled(client, "resize", { "a@b.c" })
  end)

  it("knows functions too", function()
    client:post("/users", { json = { email = "a@b.c" } })
    client:finish_tasks()
    test.replace(client, client.scheduled[1].fn, note)
    client:post("/users", { json = { email = "d@e.f" } })
    client:finish_tasks()
    assert.same({ { "d@e.f", n = 1 } }, seen)
  end)

  it("lasts as long as its client", function()
    test.replace(client, "resize", note)
    client:close()
    client = test.client(APP)
    client:post("/users", { json = { email = "a@b.c" } })
    client:finish_tasks()
    assert.same({}, seen)
  end)

  it("says what is wrong with its arguments", function()
    assert.matches("argument 1 is a test client, not a nil", failure(test.replace), 1, true)
    assert.matches("argument 2 is the name of a task or its function",
      failure(test.replace, client, 7, note), 1, true)
    assert.matches("argument 3 is the function to run instead",
      failure(test.replace, client, "resize"), 1, true)
    client:close()
    assert.matches("this test client is closed",
      failure(test.replace, client, "resize", note), 1, true)
    assert.matches("this test client is closed", failure(client.finish_tasks, client), 1, true)
  end)
end)

describe("finish_tasks on a clock", function()
  it("lets time pass where the clock moves by itself", function()
    local client = test.client(APP, { clock = "auto" })
    client:post("/sleeps")
    client:finish_tasks()
    assert.task_scheduled(client, "nap", {}, { status = "done" })
    client:close()
  end)

  it("says what waits for time where it does not", function()
    local client = test.client(APP, { clock = "virtual" })
    client:post("/sleeps")
    assert.matches("client.clock:advance(seconds) lets pass: nap (running)",
      failure(client.finish_tasks, client), 1, true)
    client.clock:advance(3600)
    client:finish_tasks()
    client:close()
  end)
end)
