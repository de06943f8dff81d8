-- app.lua - a message board: what an app needs beyond its first routes, and where it is.
--
-- public/ has the page. session.lua says who is logged in; messages.lua, live.lua, photos.lua and
-- bulk.lua have the routes, as routers that are mounted here; store.lua keeps the messages.

local async = require "perilune.async"
local load_bulk = require "bulk"
local load_live = require "live"
local load_messages = require "messages"
local load_photos = require "photos"
local load_session = require "session"
local log = require "perilune.log"
local perilune = require "perilune"
local store = require "store"

local app = perilune.app { name = "board" }
local session = load_session(app.settings.secret)
local photos = load_photos(app, session)

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
app:mount("/messages", load_messages(app, session, photos)) -- list, read, post, delete
app:mount("/photos", photos.router) -- upload, send, list
app:mount("/", load_live(app.settings.patience)) -- /messages/next, /feed
app:mount("/", load_bulk(session)) -- /messages.csv, /import

return app
