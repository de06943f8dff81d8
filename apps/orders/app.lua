-- app.lua - orders in a database: create, read, change, remove, and be paid.
--
-- Mail goes out behind the response, by apps/services. A payment is a shielded task on a pool of 20
-- threads, as the library of a payment service would want it; if it fails, the order says so.

local http = require "perilune.http"
local perilune = require "perilune"
local store = require "store"
local wanted = require "wanted"

local app = perilune.app { name = "orders", pools = { payments = { threads = 20 } } }
local settings = app.settings
local services = http.client { base_url = settings.services, timeout = 10 }

store.open(settings.database)
app:on_start(store.migrate)

local function found(req)
  return store.get(req.params.id) or perilune.abort(404, "there is no such order")
end

local function post(path, message)
  services:post(path, { json = message }):raise_for_status()
end

local function send_mail(order, subject)
  post("/mails", { to = order.email, subject = ("%s: order %d"):format(subject, order.id) })
end

local charge = perilune.blocking({ pool = "payments" }, function(order)
  post("/charges", { order = order.id, cents = order.cents })
  store.move(order.id, "paying", "paid")
end)

local function note_failure(task) store.move(task.args[1].id, "paying", "failed") end

app:group("/orders", function(orders)
  orders:post("", function(req)
    local order = store.get(store.add(wanted.order(req:json())))
    req.tasks.after_response:task { retries = 2 }:schedule(send_mail, order, "Thank you")
    return 201, order, { Location = app:url("order", { id = order.id }) }
  end)

  orders:get("", function(req)
    local before = math.tointeger(tonumber(req.query.before or "")) or math.maxinteger
    local limit = math.tointeger(tonumber(req.query.limit or "20"))
    if not limit or limit < 1 or limit > 100 then perilune.abort(400, "limit: from 1 to 100") end
    local page = store.list(req.query.state, before, limit)
    local last = page[#page]
    return { orders = page, before = #page == limit and last.id or nil }
  end)

  orders:get("/{id:int}", { name = "order" }, function(req) return found(req) end)

  orders:patch("/{id:int}", function(req)
    store.set_note(found(req).id, wanted.note(req:json()))
    return found(req)
  end)

  orders:delete("/{id:int}", function(req)
    if not store.remove(found(req).id) then perilune.abort(409, "only open orders are removed") end
  end)

  orders:post("/{id:int}/payment", function(req)
    local order = found(req)
    if not store.move(order.id, "open", "paying") then perilune.abort(409, "it is not open") end
    local paying = req.tasks:task { name = "charge", shield = true, on_error = note_failure }
    paying:schedule(charge, order)
    return 202, { state = "paying" }
  end)
end)

return app
