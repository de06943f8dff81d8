-- orders_spec.lua - every route of apps/orders, over real HTTP, with apps/services beside it.
--
-- Each case has orders of its own; the stock of tea is large, that of cups is three.

local async = require "perilune.async"
local test = require "perilune.test"

local here = debug.getinfo(1, "S").source:match "^@(.*)/orders/spec/"
local beside = dofile(here .. "/services/beside.lua")

describe("orders", function()
  local services, client, path

  setup(function()
    path = os.tmpname()
    services = beside.start(here .. "/services")
    client = test.client { settings = { services = services.url, database = path } }
  end)

  teardown(function()
    client:close()
    services:close()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  local function order(fields)
    local json = { item = "tea", quantity = 2, email = "ann@example.org" }
    for key, value in pairs(fields or {}) do json[key] = value end
    return client:post("/orders", { json = json })
  end

  local function new(fields)
    local res = order(fields)
    assert.equal(201, res.status, res.body)
    return res:json()
  end

  local function get(where) return client:get(where):json() end

  it("creates one, and sends a mail", function()
    local res = order()
    local made = res:json()
    assert.equal(("/orders/%d"):format(made.id), res.headers.location)
    assert.same({ "tea", 2, "open", 900 }, { made.item, made.quantity, made.state, made.cents })
    assert.same(made, get(res.headers.location))
    assert.task_scheduled(client, "send_mail", nil, { when = "after_response" })
    client:finish_tasks()
    local subject = ("Thank you: order %d"):format(made.id)
    assert.same({ to = "ann@example.org", subject = subject }, services:wait_for("mail", 1))
  end)

  it("says all that is wrong", function()
    local res = order { item = "", quantity = 1.5, email = "nobody", note = ("x"):rep(201) }
    assert.equal(422, res.status)
    assert.same({
      item = "a name of 1 to 50 bytes", quantity = "a whole number from 1 to 100",
      email = "an address of mail", note = "a text of at most 200 bytes",
    }, res:json().detail)
    assert.same({ item = "there is no such item" }, order({ item = "moon" }):json().detail)
    assert.equal(422, client:post("/orders", { json = 1 }).status)
    assert.equal(400, client:post("/orders", { body = "{" }).status)
  end)

  it("has pages", function()
    local ids = {}
    for i = 1, 3 do ids[i] = new({ email = "pages@example.org" }).id end
    local first = get "/orders?limit=2&state=open"
    assert.same({ ids[3], ids[2] }, { first.orders[1].id, first.orders[2].id })
    local second = get(("/orders?limit=2&state=open&before=%d"):format(first.before))
    assert.equal(ids[1], second.orders[1].id)
    assert.equal('{"orders":[]}', client:get("/orders?state=lost").body)
    assert.equal(400, client:get("/orders?limit=0").status)
  end)

  it("changes and removes one", function()
    local path_of = ("/orders/%d"):format(new().id)
    assert.equal("gift", client:patch(path_of, { json = { note = "gift" } }):json().note)
    assert.is_nil(client:patch(path_of, { json = {} }):json().note)
    assert.equal(422, client:patch(path_of, { json = { note = 7 } }).status)
    assert.equal(204, client:delete(path_of).status)
    assert.equal(404, client:get(path_of).status)
    assert.equal(404, client:delete(path_of).status)
  end)

  it("sells what there is, and no more, whoever comes at once", function()
    local answers = async.map({ 1, 1, 1, 1, 1 }, function(quantity)
      return order({ item = "cup", quantity = quantity }).status
    end)
    table.sort(answers)
    assert.same({ 201, 201, 201, 409, 409 }, { table.unpack(answers) })
    local id = get("/orders?limit=1").orders[1].id
    assert.equal(204, client:delete(("/orders/%d"):format(id)).status)
    assert.equal("cup", new({ item = "cup", quantity = 1 }).item)
  end)

  it("is paid once", function()
    local made = new()
    local path_of = ("/orders/%d"):format(made.id)
    assert.equal(202, client:post(path_of .. "/payment").status)
    assert.equal(409, client:post(path_of .. "/payment").status)
    client:finish_tasks()
    assert.equal("paid", get(path_of).state)
    assert.equal(409, client:delete(path_of).status)
    assert.equal(404, client:post("/orders/0/payment").status)
  end)

  it("says that a payment failed", function()
    client:close()
    client = test.client { settings = { services = "http://127.0.0.1:1", database = path },
      checks = { errors = false } }
    local res = client:post("/orders", { json = { item = "tea", quantity = 1, email = "a@b" } })
    local path_of = ("/orders/%d"):format(res:json().id)
    assert.equal(202, client:post(path_of .. "/payment").status)
    pcall(client.finish_tasks, client) -- it failed, as it should
    assert.equal("failed", get(path_of).state)
  end)
end)
