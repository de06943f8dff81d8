-- ends - responses and bodies whose client, reader or time ends where it is awkward.
--
-- For spec/regress/003_ends_spec.lua. What happened is kept in `seen` and told by /seen.

local async = require "perilune.async"
local log = require "perilune.log"
local perilune = require "perilune"

local app = perilune.app { name = "ends" }
local seen = {}
local may_go = false

local function until_told()
  while not may_go do async.sleep(0.001) end
  may_go = false
end

app:get("/seen", function() return seen end)
app:get("/go", function() may_go = true end)

-- Ends some turns after its last byte has been written.
app:get("/late-end", function()
  return perilune.stream(function(write)
    write "all"
    until_told()
  end)
end)

app:post("/chunks", { stream_body = true }, function(req)
  seen.chunks_began = true
  local ok, err = pcall(function() for _ in req:chunks() do seen.chunk = true end end)
  seen.chunks = ok and "whole" or err.kind
end)

app:get("/events/late", function(req)
  seen.waits = true
  while not req:is_disconnected() do async.sleep(0.001) end
  return perilune.sse({ keep_alive = false }, function()
    local guard <close> = setmetatable({}, { __close = function() seen.events_ended = true end })
    assert(guard)
    async.sleep(3600)
  end)
end)

app:get("/cancelled", { cancel_on_disconnect = true }, function()
  local guard <close> = setmetatable({}, { __close = function() seen.cancelled = true end })
  assert(guard)
  async.sleep(3600)
end)

local make_stream = perilune.blocking(function()
  return perilune.stream(function(write) write "nobody asked for this" end)
end)

app:get("/scheduled", function(req)
  local task = req.tasks:schedule(make_stream)
  local _, err = pcall(task.wait, task)
  return { status = task.status, kind = err.kind }
end)

-- Waits for the body with a limit, gives up, tells so, and reads on.
app:post("/patience", { stream_body = true }, perilune.blocking(function(req)
  local chunks = req:chunks()
  local ok = pcall(async.timeout, 0.02, chunks)
  log.info("gave up", { ok = ok })
  local parts = {}
  for chunk in chunks do parts[#parts + 1] = chunk end
  return table.concat(parts)
end))

return app
