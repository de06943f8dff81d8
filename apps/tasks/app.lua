-- app.lua - tasks: what goes on beside a request, and after it.
--
-- Users, orders and payments. What the tasks have done is in a journal, which GET /journal shows.

local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"

local app = perilune.app { name = "tasks" }

local journal = json.array {}
local function write(text, ...) journal[#journal + 1] = text:format(...) end
app:get("/journal", function() return { journal = journal } end)

local function object(req)
  local body = req:json()
  return type(body) == "table" and body or perilune.abort(422, "a JSON object is needed")
end

-- three timings, two kinds of functions, one call
local hash_avatar = perilune.blocking(function(name) -- on the pool: it computes
  local hash = #name
  for _ = 1, 100000 do hash = hash * 33 % 4294967291 end
  return hash
end)
local function count_signup(name) write("counted %s", name) end
local function send_welcome(email) write("welcomed %s", email) end

app:post("/users", function(req)
  local user = object(req)
  if type(user.name) ~= "string" or type(user.email) ~= "string" then
    perilune.abort(422, "name and email are needed")
  end
  local avatar = req.tasks:schedule(hash_avatar, user.name) -- now
  req.tasks.after_route:schedule(count_signup, user.name) -- the handler has returned
  req.tasks.after_response:schedule(send_welcome, user.email) -- the response is out
  return 201, { name = user.name, avatar = avatar:wait() }
end)

-- retries, error handlers by kind, and what is done when the handler fails
local function reserve(order)
  order.attempts = (order.attempts or 0) + 1
  if order.attempts <= (order.failures or 0) then error { kind = "busy", message = "busy" } end
  write("reserved %s at attempt %d", order.item, order.attempts)
end
local reserving = {
  name = "reserve", retries = 2, retry_on = { "busy" }, backoff = { initial = 0.01 },
  on_error = {
    busy = function(task) write("gave up %s at attempt %d", task.args[1].item, task.attempt) end,
    default = function(_, err) write("not reserved: %s", tostring(err)) end,
  },
}
local function apologize(item) write("apologized for %s", item) end

app:post("/orders", function(req)
  local order, tasks = object(req), req.tasks.after_response
  tasks:task { outcome = "failure" }:schedule(apologize, order.item)
  if order.item == "moon" then perilune.abort(409, "sold out") end
  return 202, { task = tasks:task(reserving):schedule(reserve, order).id }
end)

app:get("/tasks/{id}", function(req)
  local task = app.tasks:find(req.params.id) or perilune.abort(404, "no such task")
  return { name = task.name, status = task.status, attempt = task.attempt }
end)

-- the shutdown waits for a shielded task, and for its on_error
local function settle(amount)
  async.sleep(0.2)
  if amount > 1000 then error("over the limit", 0) end
  write("settled %d", amount)
end
local function refund(task, err) write("refunded %d: %s", task.args[1], tostring(err)) end

app:post("/payments/{amount:int}", function(req)
  req.tasks:task { shield = true, on_error = refund }:schedule(settle, req.params.amount)
  return 202, { amount = req.params.amount }
end)

return app
