-- kinds.lua - whatever can be waited for can be waited for together.
--
-- A coroutine, a function on a thread, a request, a query and a task in one gather, or in a race.

local async = require "perilune.async"
local load = require("upstream").load
local perilune = require "perilune"
local sqlite = require "perilune.sqlite"

local router = perilune.router()

local db = sqlite.open ":memory:"

local function what_time()
  async.sleep(0.001)
  return "half past four"
end

local count_bytes = perilune.blocking(function(text) return #text end)

local function remind(whom) return "call " .. whom end

router:get("/kinds", function(req)
  return async.gather {
    coroutine = what_time,
    thread = { count_bytes, "a page" },
    request = { load, req, "profile" },
    query = { db.row, db, "SELECT 1 + 1 AS two" },
    task = req.tasks:schedule(remind, "Bob"),
  }
end)

-- The first to end counts, be it an error; the other is cancelled.
router:get("/first", function(req)
  local index, answer = async.race(what_time, { load, req, "orders" })
  return { index = index, answer = answer }
end)

return router
