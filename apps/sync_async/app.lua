-- app.lua - waiting in both kinds of functions, and the trap between them.
--
-- async.sleep is one function: a coroutine that calls it yields, a blocking function that calls it
-- holds its own thread. What must not be done is to block in a plain handler: GET /trap. places.lua
-- shows where else a wait may be.

local async = require "perilune.async"
local perilune = require "perilune"

-- A task that blocks is run by the pool `tasks`, a handler by `default`; both have a size.
local app = perilune.app { name = "sync_async", pools = { tasks = { threads = 8 } } }
app:mount("/", require "places"(app))

local function seconds(req)
  local wanted = tonumber(req.query.seconds or "1")
  if not wanted or wanted < 0 or wanted > 10 then perilune.abort(400, "seconds: from 0 to 10") end
  return wanted
end

-- A coroutine: while it waits the loop serves others, thousands of them on one thread.
app:get("/async", function(req)
  async.sleep(seconds(req))
  return { waited = "on the event loop" }
end)

-- A blocking function: it has a thread of the pool for itself; the loop serves others too.
app:get("/sync", perilune.blocking(function(req)
  async.sleep(seconds(req))
  return { waited = "on a thread of the pool" }
end))

-- The trap: this is no wait of Perilune's, so the whole event loop stands still. The watchdog says
-- so while it does, with this line: "the event loop is held ... in os.execute, called from ...".
app:get("/trap", function(req)
  os.execute(("sleep %f"):format(seconds(req)))
  return { waited = "and so did everybody else" }
end)

-- The same call where it may be.
app:get("/mended", perilune.blocking(function(req)
  os.execute(("sleep %f"):format(seconds(req)))
  return { waited = "alone" }
end))

--- What happens in which order: a runs until it waits, b runs meanwhile.
app:get("/timeline", function()
  local lines = {}
  local function note(line) lines[#lines + 1] = line end
  local answered = async.event()
  async.gather(function()
    note "a asks the database"
    answered:wait()
    note "a goes on"
  end, function()
    note "b runs while a waits"
    answered:set()
    note "b has not been interrupted"
  end)
  return lines
end)

-- Calls of a blocking function wait for its result; scheduled, nobody waits.
local answer = perilune.blocking(function() return 42 end)

app:get("/order", function(req)
  local lines = { "the call begins" }
  lines[#lines + 1] = ("the call has given %d"):format(answer())
  local task = req.tasks:schedule(function() lines[#lines + 1] = "the task runs" end)
  lines[#lines + 1] = "the handler goes on"
  task:wait()
  return lines
end)

return app
