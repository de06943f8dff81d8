-- tasks_spec.lua - every route of apps/tasks, over real HTTP, and what its tasks leave behind.
--
-- Each case has a journal of its own.

local async = require "perilune.async"
local fs = require "perilune.fs"
local test = require "perilune.test"

local LIMIT_S = 20

describe("tasks", function()
  local client, path

  before_each(function()
    path = os.tmpname()
    client = test.client { settings = { journal = path }, stall_limit = 1 } -- threads compute too
  end)

  after_each(function()
    client:close()
    os.remove(path)
  end)

  --- What is in the journal once every task has ended, and so many lines are there: an on_error
  --- may still run when its task has failed.
  local function journal(count)
    pcall(client.finish_tasks, client)
    return async.timeout(LIMIT_S, function()
      while true do
        local lines = client:get("/journal"):json().journal
        if #lines >= count then return lines end
        async.sleep(0.001)
      end
    end)
  end

  local function order(json)
    local res = client:post("/orders", { json = json })
    assert.equal(202, res.status, res.body)
    return client:get("/tasks/" .. res:json().task):json()
  end

  it("has three timings for both kinds of functions", function()
    local res = client:post("/users", { json = { name = "Ann", email = "ann@example.org" } })
    assert.equal(201, res.status)
    assert.equal("integer", math.type(res:json().avatar))
    assert.task_scheduled(client, "greet", { "Ann" }, { when = "now" })
    assert.task_scheduled(client, "archive", { "Ann" }, { when = "after_route" })
    assert.task_scheduled(client, "export", { "ann@example.org" }, { when = "after_response" })
    local lines = journal(5)
    table.sort(lines)
    assert.same({
      "archived Ann", "counted Ann", "exported ann@example.org", "greeted Ann",
      "welcomed ann@example.org",
    }, lines)
  end)

  it("starts them in the order of their timings", function()
    client:post("/users", { json = { name = "Ann", email = "ann@example.org" } })
    client:finish_tasks()
    assert.task_order(client, {
      "hash_avatar", "greet", "count_signup", "archive", "send_welcome", "export",
    })
  end)

  it("refuses what is no user, and schedules nothing", function()
    assert.equal(422, client:post("/users", { json = { name = "Bob" } }).status)
    assert.equal(400, client:post("/users", { body = "{" }).status)
    assert.equal(422, client:post("/users", { json = 7 }).status)
    assert.same({}, client.scheduled)
    assert.same({}, journal(0))
  end)

  it("keeps whole lines, whoever writes", function()
    async.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
      local user = { name = ("n"):rep(500) .. i, email = "ann@example.org" }
      assert.equal(201, client:post("/users", { json = user }).status)
    end)
    local lines = journal(40)
    assert.equal(40, #lines)
    for _, line in ipairs(lines) do
      assert.is_truthy(line:find "^%l+ n+%d$" or line:find "^%l+ ann@example.org$", line)
    end
    assert.equal(table.concat(lines, "\n") .. "\n", fs.read(path))
  end)

  it("gives the results of a task to whoever knows its id", function()
    local id = client:post("/reports?seconds=0"):json().task
    client:finish_tasks()
    assert.same({ name = "yearly report", status = "done", attempt = 1,
      result = { pages = 12 } }, client:get("/tasks/" .. id):json())
    assert.equal(400, client:post("/reports?seconds=61").status)
    assert.equal(404, client:get("/tasks/none").status)
  end)

  it("cancels a task", function()
    local id = client:post("/reports?seconds=60"):json().task
    assert.equal(202, client:delete("/tasks/" .. id).status)
    async.timeout(LIMIT_S, function()
      while client:get("/tasks/" .. id):json().status ~= "cancelled" do async.sleep(0.001) end
    end)
    assert.same({ "no yearly report: nobody wants it" }, journal(1))
    assert.equal(404, client:delete("/tasks/none").status)
  end)

  it("retries what is busy", function()
    assert.equal("reserve", order({ item = "tea", failures = 2 }).name)
    assert.same({ "reserved tea at attempt 3" }, journal(1))
  end)

  it("gives up after the last attempt, and says so", function()
    order { item = "coffee", failures = 3 }
    assert.same({ "gave up coffee at attempt 3" }, journal(1))
  end)

  it("tells what else fails an order", function()
    order { item = 7, failures = "many" }
    local lines = journal(1)
    assert.is_truthy(lines[1]:find "^not reserved: .-attempt to compare", lines[1])
  end)

  it("has a task for the failure of the handler", function()
    assert.equal(409, client:post("/orders", { json = { item = "moon" } }).status)
    assert.same({ "apologized for moon" }, journal(1))
    assert.equal(422, client:post("/orders", { json = 1 }).status)
  end)

  for _, task in ipairs { "plain", "blocking" } do
    for _, handler in ipairs { "plain", "blocking" } do
      it(("tells of a %s task by a %s function"):format(task, handler), function()
        local res = client:post(("/orders/import/%s/%s"):format(task, handler))
        assert.equal(202, res.status)
        assert.same({ ("%s import, %s handler: cannot read a.csv"):format(task, handler) },
          journal(1))
      end)
    end
  end

  it("keeps what nobody holds", function()
    local ended = 0
    for _ = 1, 100 do
      async.spawn(function()
        async.sleep(0.001)
        ended = ended + 1
      end)
    end
    async.timeout(LIMIT_S, function()
      while ended < 100 do
        collectgarbage()
        async.checkpoint()
      end
    end)
  end)

  it("knows no other kind of function", function()
    assert.equal(404, client:post("/orders/import/plain/other").status)
    assert.same({}, client.scheduled)
  end)

  it("settles a payment, or refunds it", function()
    assert.equal(202, client:post("/payments/700").status)
    assert.same({ "settled 700" }, journal(1))
    assert.equal(202, client:post("/payments/1001").status)
    assert.same({ "settled 700", "refunded 1001: over the limit", "told of 1001" }, journal(3))
    assert.equal(404, client:post("/payments/much").status)
  end)

  it("ends with the payments, and without the reports", function()
    test.replace(client, "settle", function() -- takes until the end of the server has begun
      while client.scheduled[1].task.status ~= "cancelled" do async.sleep(0.001) end
    end)
    client:post "/reports?seconds=60"
    client:post "/payments/700"
    local totals, exit_code = client:shutdown()
    assert.same({ 1, 1, 0 }, { totals.shielded, totals.cancelled, exit_code })
    assert.equal("cancelled", client.scheduled[1].task.status)
  end)
end)
