-- app.lua - rooms that people talk in: what all states of a process have in common.
--
-- A message is kept as the last of its room, in a shared table, and published on the topic of the
-- room: so it does not matter which worker a request comes to. Who says too much is told to slow
-- down, whichever worker heard it.

local perilune = require "perilune"
local shared = require "perilune.shared"
local topic = require "perilune.topic"

local app = perilune.app { name = "chat" }

local heard = shared "chat.heard" -- how many messages came from an address
local rooms = shared("chat.rooms", { max_memory = "16m", evict = "lru" })

local MESSAGES_MAX, PER_SECONDS = 20, 10
local TEXT_BYTES_MAX = 1000

local function check_text(body)
  local text = type(body) == "table" and body.text
  if type(text) ~= "string" or text == "" or #text > TEXT_BYTES_MAX then
    perilune.abort(422, "text is 1 to 1000 bytes")
  end
  return text
end

app:get("/rooms", function() return { rooms = rooms:keys() } end)

app:post("/rooms/{room}", function(req)
  if heard:incr(req.remote_addr, 1, PER_SECONDS) > MESSAGES_MAX then
    local left = math.ceil(heard:ttl(req.remote_addr) or 1)
    perilune.abort(429, "slow down", { ["Retry-After"] = left })
  end
  local text = check_text(req:json())
  local room = rooms:update(req.params.room, function(room)
    return { number = room and room.number + 1 or 1, text = text }
  end)
  topic("chat." .. req.params.room):publish(room)
  return 201, room
end)

app:get("/rooms/{room}", function(req)
  return rooms:get(req.params.room) or perilune.abort(404, "nobody has said anything here")
end)

app:get("/rooms/{room}/events", function(req)
  return perilune.sse(function(send)
    for room in topic("chat." .. req.params.room):subscribe { buffer = 100, overflow = "close" } do
      send { id = room.number, data = room }
    end
  end)
end)

-- Long polling: 503 when nobody says anything.
app:get("/rooms/{room}/next", { timeout = 30 }, function(req)
  return rooms:wait(req.params.room)
end)

return app
