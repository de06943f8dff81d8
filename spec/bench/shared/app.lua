-- app.lua - the workloads of shared tables and topics.
--
-- GET /ops?states=N&seconds=S works on a shared table in N background loops at once; the answer has
-- a line for each operation: name, operations a second, nanoseconds of CPU time for one. /events
-- follows a topic, on which GET /publish?rate=N&seconds=S publishes the time, N times a second.

local perilune = require "perilune"
local async = require "perilune.async"
local shared = require "perilune.shared"
local topic = require "perilune.topic"

local LOOPS_MAX, KEYS, BATCH = 8, 10000, 1000

local app = perilune.app { name = "bench" }
local numbers, tables = shared "numbers", shared "tables"

--- One batch each, of state number n.
local operations = {
  { "get", function(n)
    for i = n, n + BATCH do numbers:get(i % KEYS) end
  end },
  { "set", function(n)
    for i = n, n + BATCH do numbers:set(i % KEYS, i) end
  end },
  { "incr", function(n)
    for i = n, n + BATCH do numbers:incr(i % KEYS) end
  end },
  { "incr_one", function()
    for _ = 1, BATCH do numbers:incr "one" end
  end },
  { "set_ttl", function(n)
    for i = n, n + BATCH do numbers:set(i % KEYS, i, 60) end
  end },
  { "get_table", function(n)
    for i = n, n + BATCH do tables:get(i % 100) end
  end },
  { "update_one", function()
    for _ = 1, BATCH do numbers:update("updated", function(old) return (old or 0) + 1 end) end
  end },
}

local function work(operation, number, seconds)
  local batch, count, first = operations[operation][2], 0, async.now()
  repeat
    batch(number * KEYS // LOOPS_MAX + count)
    count = count + BATCH
  until async.now() - first >= seconds
  return count
end

local workers = {}
for i = 1, LOOPS_MAX do workers[i] = perilune.background("bench" .. i, work) end

app:get("/ops", function(req)
  local states, seconds = tonumber(req.query.states), tonumber(req.query.seconds)
  local lines = {}
  for i = 0, KEYS - 1 do numbers:set(i, i) end
  for i = 0, 99 do tables:set(i, { id = i, name = "somebody", tags = { "a", "b", "c" } }) end
  for operation, row in ipairs(operations) do
    local calls = {}
    for i = 1, states do calls[i] = { workers[i], operation, i, seconds } end
    local first, cpu_first, count = async.now(), os.clock(), 0
    for _, done in ipairs(async.gather(calls)) do count = count + done end
    lines[#lines + 1] = ("%s %.0f %.0f"):format(row[1], count / (async.now() - first),
      (os.clock() - cpu_first) / count * 1e9)
  end
  return table.concat(lines, "\n") .. "\n"
end)

app:get("/events", function()
  return perilune.sse(function(send)
    for value in topic "bench":subscribe() do send { data = value } end
  end)
end)

app:get("/publish", perilune.background("publisher", function(req)
  local rate, seconds = tonumber(req.query.rate), tonumber(req.query.seconds)
  local padding, first = (" x"):rep(40), async.now()
  for i = 1, rate * seconds do
    local wait = first + i / rate - async.now()
    if wait > 0 then async.sleep(wait) end
    topic "bench":publish(("%.6f%s"):format(async.now(), padding))
  end
  return 204
end))

return app
