-- app.lua - what http_spec.lua and cli_spec.lua ask for over the wire.
--
-- Each route is the least that shows one thing of HTTP: a body echoed, a handler that waits, one
-- that runs in the pool. Handlers that wait say so in the log, so that a spec knows when they do.

local perilune = require "perilune"
local async = require "perilune.async"
local log = require "perilune.log"

local app = perilune.app { name = "wire" }

app:get("/", function() return "hello" end)

app:get("/message", function() return { message = "hello" } end)

app:get("/users/{id:int}", function(req)
  return { id = req.params.id, verbose = req.query.verbose }
end)

app:get("/files/{rest:path}", function(req) return req.params.rest end)

app:get("/query", function(req) return req.query.q or 400 end)

app:get("/header", function(req) return req.headers["X-Word"] or "none" end)

app:get("/status/{code:int}", function(req) return req.params.code end)

app:post("/echo", function(req) return req.body end)

app:put("/echo", function(req) return 201, req.body end)

app:post("/json", function(req) return req:json() end)

app:get("/sleep/{ms:int}", function(req)
  log.info("sleeping", { ms = req.params.ms })
  async.sleep(req.params.ms / 1000)
  return "slept"
end)

app:get("/nap/{ms:int}", function(req)
  async.sleep(req.params.ms / 1000)
  return "awake"
end)

app:get("/large/{bytes:int}", function(req) return ("x"):rep(req.params.bytes) end)

app:get("/blocking", perilune.blocking(function() return "from the pool" end))

app:get("/error", function() error "boom" end)

return app
