-- tasks_matrix/app.lua - each kind of handler, which schedules each kind of task in all timings.
--
-- ?ends= says how the handler ends, ?path= where the tasks write: each kind into a file of its own.
-- The pool of tasks has one thread, so that what they write is in the order of their start.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "tasks_matrix", pools = { tasks = { threads = 1 } } }

local PIECE = ("x"):rep(65536)
local TIMEOUT_SECONDS = 0.5

app.TIMINGS = { "now", "after_route", "after_response" }
app.OUTCOMES = { "success", "failure", "any" }
app.KINDS = { "plain", "blocking", "background" }

local function write_to(path, text)
  local file = assert(io.open(path, "a"))
  file:write(text, "\n")
  file:close()
end
app.writers = {
  plain = write_to,
  blocking = perilune.blocking(write_to),
  background = perilune.background("matrix", write_to),
}

--- The last timing first: it is not the order of scheduling that decides between timings.
local function schedule_all(req)
  for i = #app.TIMINGS, 1, -1 do
    local timing = app.TIMINGS[i]
    local tasks = timing == "now" and req.tasks or req.tasks[timing]
    for _, outcome in ipairs(app.OUTCOMES) do
      for _, kind in ipairs(app.KINDS) do
        tasks:task { outcome = outcome }:schedule(app.writers[kind],
          req.query.path .. kind, timing .. " " .. outcome)
      end
    end
  end
end

local ends = {
  success = function() return "fine" end,
  error = function() error "the handler fails" end,
  abort_404 = function() perilune.abort(404) end,
  abort_303 = function() perilune.abort(303, "there", { Location = "/there" }) end,
  timeout = function() async.sleep(60) end,
  disconnect = function(req)
    while not req:is_disconnected() do async.sleep(0.001) end
    return "nobody reads this"
  end,
}
local stream_ends = {
  success = function(write) write "fine" end,
  stream_failure = function(write)
    write "begun"
    error "the stream fails"
  end,
  disconnect = function(write)
    while true do write(PIECE) end
  end,
}

local function handle(req)
  schedule_all(req)
  return ends[req.query.ends](req)
end

local function handle_streamed(req)
  local finish = stream_ends[req.query.ends]
  if not finish then return handle(req) end
  schedule_all(req)
  return perilune.stream(finish)
end

local options = { timeout = TIMEOUT_SECONDS }
app:get("/plain", options, handle)
app:get("/blocking", options, perilune.blocking(handle))
app:get("/background", options, perilune.background("matrix", handle))
app:get("/streamed", options, handle_streamed)
app:get("/streamed_blocking", options, perilune.blocking(handle_streamed))

return app
