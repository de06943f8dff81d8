-- orders.lua - tasks that fail: tried again, given up, and told of by functions of both kinds.
--
-- An order is reserved once its response is out. With "failures" it is busy so many times first.

local journal = require "journal"
local perilune = require "perilune"

local router = perilune.router()

local function reserve(order)
  order.attempts = (order.attempts or 0) + 1
  if order.attempts <= (order.failures or 0) then error { kind = "busy", message = "busy" } end
  journal.write("reserved %s at attempt %d", order.item, order.attempts)
end
local function give_up(task)
  journal.write("gave up %s at attempt %d", task.args[1].item, task.attempt)
end

-- Three attempts in all, but only where it was busy; what is done about it depends on the kind.
local reserving = {
  name = "reserve", retries = 2, retry_on = { "busy" }, backoff = { initial = 0.01 },
  on_error = {
    busy = give_up,
    default = function(_, err) journal.write("not reserved: %s", tostring(err)) end,
  },
}
local function apologize(item) journal.write("apologized for %s", item) end

router:post("", function(req)
  local order, tasks = req:json(), req.tasks.after_response
  if type(order) ~= "table" then perilune.abort(422, "a JSON object is needed") end
  tasks:task { outcome = "failure" }:schedule(apologize, order.item) -- only if this handler fails
  if order.item == "moon" then perilune.abort(409, "sold out") end
  return 202, { task = tasks:task(reserving):schedule(reserve, order).id }
end)

-- All four: a task of each kind, and an on_error of each kind.
local function import(file) error("cannot read " .. file, 0) end
local function complain(task, err) journal.write("%s: %s", task.name, tostring(err)) end

local imports = { plain = import, blocking = perilune.blocking(function(file) import(file) end) }
local complaints = {
  plain = complain, blocking = perilune.blocking(function(task, err) complain(task, err) end),
}

router:post("/import/{task}/{handler}", function(req)
  local task, handler = req.params.task, req.params.handler
  if not imports[task] or not complaints[handler] then perilune.abort(404, "plain or blocking") end
  local name = ("%s import, %s handler"):format(task, handler)
  req.tasks:task { name = name, on_error = complaints[handler] }:schedule(imports[task], "a.csv")
  return 202
end)

return router
