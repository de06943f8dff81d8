-- app.lua - what rfc9112_spec.lua and limits_spec.lua ask for over the wire.
--
-- /mark counts how often it was reached, so that a spec can show that a request was not run; /busy
-- how often at once. The counts are variables of the state: the specs start one worker.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app { name = "strict" }

local marks, busy, busiest = 0, 0, 0

local function mark()
  marks = marks + 1
  return "marked"
end

app:get("/", function() return "hello" end)

app:post("/echo", function(req) return req.body end)

app:post("/small", { max_body = 16 }, function(req) return req.body end)

app:get("/where", function(req) return req.host .. " " .. req.target end)

app:get("/version", function(req) return tostring(req.version) end)

app:get("/nap/{ms:int}", function(req)
  async.sleep(req.params.ms / 1000)
  return "awake"
end)

app:get("/large/{bytes:int}", function(req)
  local res = perilune.response { body = ("x"):rep(req.params.bytes) }
  req.tasks.after_response:schedule(function()
    log.info("large", { delivered = tostring(res.delivered) })
  end)
  return res
end)

app:get("/busy", function()
  busy = busy + 1
  busiest = math.max(busiest, busy)
  async.sleep(0.02)
  busy = busy - 1
  return "done"
end)

app:get("/busiest", function() return tostring(busiest) end)

app:get("/mark", mark)

app:post("/mark", mark)

app:get("/marks", function() return tostring(marks) end)

return app
