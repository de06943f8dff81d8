-- app.lua - what rfc9112_spec.lua and limits_spec.lua ask for over the wire.
--
-- /mark counts how often it was reached, so that a spec can show that a request was not run. The
-- count is a variable of the state: the specs start one worker.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app { name = "strict" }

local marks = 0

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
  req.tasks.after_response:task { outcome = "any" }:schedule(function()
    log.info("the large one has ended")
  end)
  return ("x"):rep(req.params.bytes)
end)

app:get("/mark", mark)

app:post("/mark", mark)

app:get("/marks", function() return tostring(marks) end)

return app
