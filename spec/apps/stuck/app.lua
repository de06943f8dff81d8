-- app.lua - what gets stuck in C, on the event loop and in the pool, until a file is there.
--
-- os.execute waits for a shell that looks for the file: no hook fires in this process meanwhile.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "stuck" }

local function wait_for(path)
  os.execute(("until [ -e '%s' ]; do sleep 0.01; done"):format(path))
  return "done"
end

local blocking_wait = perilune.blocking(function(path)
  wait_for(path)
  return "done"
end)

local calls = 0

local count = perilune.blocking(function()
  calls = calls + 1
  return calls
end)

app:get("/hold", function(req)
  local result = wait_for(req.query.path)
  return result
end)

local function send_invoice(path)
  local result = wait_for(path)
  return result
end

app:get("/task", function(req)
  req.tasks.after_response:schedule(send_invoice, req.query.path)
end)

app:get("/limited", function(req)
  local ok, err = pcall(async.run_blocking, { timeout = 0.05 }, blocking_wait, req.query.path)
  return { ok = ok, kind = err.kind, text = tostring(err) }
end)

app:get("/fails", function(req)
  return async.run_blocking({ timeout = 0.05 }, blocking_wait, req.query.path)
end)

app:get("/count", function() return { count = count() } end)

return app
