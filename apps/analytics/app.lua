-- app.lua - events that nobody waits for, and a live chart of them.
--
-- The events go to a background loop, a thread with one Lua state: it counts, writes them to a file
-- in batches, and publishes the counts to every browser that looks.

local async = require "perilune.async"
local fs = require "perilune.fs"
local json = require "perilune.json"
local perilune = require "perilune"
local topic = require "perilune.topic"

local app = perilune.app { name = "analytics" }
local settings = app.settings

-- What follows up to the routes is the loop's own: the other states have these, too, and never use
-- them.
local batch, totals, written = {}, {}, 0

local function flush()
  if #batch == 0 then return end
  local lines = batch
  batch = {}
  fs.append(settings.file, table.concat(lines))
  written = written + #lines
  topic("totals"):publish(totals)
end

local track = perilune.background("analytics", { queue = 100000 }, function(event)
  totals[event.name] = (totals[event.name] or 0) + 1
  batch[#batch + 1] = json.encode(event) .. "\n"
  if #batch >= settings.batch then flush() end
end)

local look = perilune.background("analytics", function()
  return { totals = totals, waiting = #batch, written = written }
end)

local loop = perilune.loop "analytics"

loop:on_start(function()
  async.spawn(function()
    while true do
      async.sleep(settings.interval)
      flush()
    end
  end)
end)

loop:on_stop(flush) -- what has come since is written, too

-- The response does not wait for the loop; a full queue costs events, and the log counts them.
app:post("/events", function(req)
  local event = req:json()
  if type(event) ~= "table" or type(event.name) ~= "string" or #event.name > 50 then
    perilune.abort(422, "an event has a name")
  end
  req.tasks.after_response:schedule(track, { name = event.name, at = os.time(), path = event.path })
  return 202
end)

app:get("/totals", function() return look() end)

-- Whoever looks gets the counts at once, and again with each batch.
app:get("/feed", function()
  return perilune.sse(function(send)
    local changes <close> = topic "totals":subscribe { buffer = 1, overflow = "drop_oldest" }
    send { event = "totals", data = look().totals }
    for counts in changes do send { event = "totals", data = counts } end
  end)
end)

return app
