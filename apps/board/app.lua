-- app.lua - a message board: what an app needs beyond its first routes.
--
-- Messages are posted as JSON and come to every open page as Server-Sent Events. They can be read
-- as CSV and imported as lines of JSON, both of any length without holding more than a piece.

local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"
local store = require "store"
local validate = require "validate"

local app = perilune.app { name = "board" }

local POLL_SECONDS = 0.05
local LINE_BYTES_MAX = 64 * 1024

app:get("/messages", function(req)
  local limit = validate.integer(req.query.limit or "100", "limit")
  local after = validate.integer(req.query.after or math.max(0, store.last() - limit), "after")
  local list = {}
  for message in store.each(after) do
    if #list >= limit then break end
    list[#list + 1] = message
  end
  return { messages = json.array(list), last = store.last() }
end)

-- Long polling: answers when there is a message, or 503 when the time is over.
app:get("/messages/next", { timeout = app.settings.patience }, function(req)
  local after = validate.integer(req.query.after or store.last(), "after")
  local message = store.each(after)()
  while not message do
    async.sleep(POLL_SECONDS)
    message = store.each(after)()
  end
  return message
end)

app:get("/messages/{id:int}", { name = "message" }, function(req)
  return store.get(req.params.id) or perilune.abort(404, "no such message")
end)

-- A browser that lost the connection comes back with the id of the last message it has seen.
app:get("/feed", function(req)
  local after = req.headers["last-event-id"] or req.query.after or store.last()
  local seen = validate.integer(after, "after")
  return perilune.sse(function(send)
    while true do
      for message in store.each(seen) do
        seen = message.id
        send { id = message.id, data = message }
      end
      async.sleep(POLL_SECONDS)
    end
  end)
end)

local function csv_field(value)
  return '"' .. tostring(value or ""):gsub('"', '""') .. '"'
end

local csv_headers = {
  ["Content-Type"] = "text/csv; charset=utf-8",
  ["Content-Disposition"] = 'attachment; filename="messages.csv"',
}

app:get("/messages.csv", function()
  return perilune.stream({ headers = csv_headers }, function(write)
    write "id,author,text\r\n"
    for message in store.each(0) do
      write(("%d,%s,%s\r\n"):format(message.id, csv_field(message.author), csv_field(message.text)))
    end
  end)
end)

--- The lines of a body that comes in pieces.
local function lines(req)
  local rest, chunks = "", req:chunks()
  return coroutine.wrap(function()
    for chunk in chunks do
      rest = rest .. chunk
      local from, at = 1, rest:find("\n", 1, true)
      while at do
        coroutine.yield(rest:sub(from, at - 1))
        from, at = at + 1, rest:find("\n", at + 1, true)
      end
      rest = rest:sub(from)
      if #rest > LINE_BYTES_MAX then perilune.abort(413, "a line is too long") end
    end
    if rest ~= "" then coroutine.yield(rest) end
  end)
end

-- Messages as lines of JSON, of any number: each is added as it comes.
app:post("/import", { stream_body = true, max_body = "1g" }, function(req)
  local count = 0
  for line in lines(req) do
    store.add(validate.message(json.decode(line)))
    count = count + 1
  end
  return { imported = count }
end)

return app
