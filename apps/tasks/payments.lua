-- payments.lua - what must not be cut off: the end of the server waits for a shielded task.
--
-- It waits for its on_error too, and for what that schedules with a shield of its own.

local async = require "perilune.async"
local journal = require "journal"
local perilune = require "perilune"

local router = perilune.router()

local function settle(amount)
  async.sleep(0.2)
  if amount > 1000 then error("over the limit", 0) end
  journal.write("settled %d", amount)
end

local function tell(amount) journal.write("told of %d", amount) end

-- Code without a req has perilune.tasks: here an on_error that goes on in a task of its own.
local function refund(task, err)
  journal.write("refunded %d: %s", task.args[1], tostring(err))
  perilune.tasks:task { shield = true }:schedule(tell, task.args[1])
end

router:post("/{amount:int}", function(req)
  req.tasks:task { shield = true, on_error = refund }:schedule(settle, req.params.amount)
  return 202, { amount = req.params.amount }
end)

return router
