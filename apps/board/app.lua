-- app.lua - a message board: what an app needs beyond its first routes.
--
-- Messages are posted as JSON and come to every open page as Server-Sent Events. They can be read
-- as CSV and imported as lines of JSON, both of any length without holding more than a piece.
-- public/ has the page; photos.lua the photos; session.lua who is logged in.

local async = require "perilune.async"
local json = require "perilune.json"
local load_photos = require "photos"
local load_session = require "session"
local log = require "perilune.log"
local perilune = require "perilune"
local read_lines = require "lines"
local store = require "store"
local validate = require "validate"

local app = perilune.app { name = "board" }
local session = load_session(app.settings.secret)
local photos = load_photos(app, session)

local POLL_SECONDS = 0.05

-- For every answer, those of public/ and 404 too.
app:headers { ["X-Content-Type-Options"] = "nosniff" }
app:cors { origins = app.settings.origins, credentials = true, headers = { "Content-Type" } }

app:use(function(_, proceed)
  local begun = async.now()
  local res = proceed()
  return res:header("Server-Timing", ("app;dur=%.1f"):format((async.now() - begun) * 1000))
end)

-- What was sent is no JSON: told to the client, where other errors are a 500.
app:on_error("json", function(_, err)
  return 400, { detail = err.message }
end)

-- A page for people; programs get JSON.
app:on_status(404, function(req)
  if (req.headers.accept or ""):find("text/html", 1, true) then
    return perilune.html '<!doctype html><title>Not here</title><p>Not here. <a href="/">Board</a>'
  end
end)

app:on_start(photos.make_directory) -- once, before the first connection
app:every(app.settings.sweep, photos.sweep) -- never two at a time
app:on_stop(function() log.info("board closed", { messages = store.last() }) end)

app:post("/login", session.log_in)
app:post("/logout", session.log_out)
app:mount("/photos", photos.router)

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

app:get("/messages/{id:int}", { name = "message" }, function(req)
  return store.get(req.params.id) or perilune.abort(404, "no such message")
end)

app:get("/messages/latest", function()
  if store.last() == 0 then perilune.abort(404, "no message yet") end
  return perilune.redirect(app:url("message", { id = store.last() }))
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

app:group("/messages", { middleware = { session.required } }, function(group)
  group:post("", function(req)
    local text = validate.text(validate.object(req:json()).text)
    local message = store.add { author = session.user(req), text = text }
    return 201, message, { Location = app:url("message", { id = message.id }) }
  end)

  group:delete("/{id:int}", function(req)
    local message = store.get(req.params.id) or perilune.abort(404, "no such message")
    if message.author ~= session.user(req) then perilune.abort(403, "not your message") end
    if message.photo then photos.remove(message.photo) end
    store.remove(message.id)
  end)
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
  return '"' .. tostring(value):gsub('"', '""') .. '"'
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

-- Messages as lines of JSON, of any number: each is added as it comes.
local import_options = {
  stream_body = true, max_body = "1g", middleware = { session.required },
}

app:post("/import", import_options, function(req)
  local count = 0
  for line in read_lines(req) do
    store.add(validate.message(json.decode(line)))
    count = count + 1
  end
  return { imported = count }
end)

return app
