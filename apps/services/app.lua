-- app.lua - the rest of the world, played on another port: an API, a CDN, mail, web hooks.
--
-- No page of the tutorial calls anything outside of the machine; those that need a service ask this
-- app. What came in by mail, web hook or event is shown by GET /received.

local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"

local app = perilune.app { name = "services" }

local received = json.array {}
local files = {}

--- How slow a service is: a twentieth of a second unless ?seconds= says otherwise.
local function take_time(req)
  local seconds = tonumber(req.query.seconds or "0.05")
  if not seconds or seconds < 0 or seconds > 10 then
    perilune.abort(400, "seconds: from 0 to 10")
  end
  async.sleep(seconds)
end

-- an API
app:get("/items/{id:int}", function(req)
  take_time(req)
  if req.params.id < 1 then perilune.abort(404, "there is no such item") end
  return { id = req.params.id, name = ("item %d"):format(req.params.id) }
end)

-- a CDN
app:put("/files/{name}", { max_body = "20m" }, function(req)
  local is_new = not files[req.params.name]
  files[req.params.name] = { type = req.headers["content-type"], data = req.body }
  return is_new and 201 or 200, { url = app:url("file", { name = req.params.name }) }
end)

app:get("/files/{name}", { name = "file" }, function(req)
  local file = files[req.params.name] or perilune.abort(404, "there is no such file")
  return 200, file.data, { ["Content-Type"] = file.type or "application/octet-stream" }
end)

-- what takes messages: each is a JSON object
local function receive(kind, check)
  return function(req)
    local message = req:json()
    if type(message) ~= "table" or not check(message) then
      perilune.abort(422, ("that is no %s"):format(kind))
    end
    take_time(req)
    received[#received + 1] = { kind = kind, message = message }
    return 202
  end
end

app:post("/mails", receive("mail", function(mail)
  return type(mail.to) == "string" and mail.to:find "@" and type(mail.subject) == "string"
end))
app:post("/hooks", receive("event", function(event) return type(event.event) == "string" end))
app:post("/charges", receive("charge", function(charge)
  return math.type(charge.cents) == "integer" and charge.cents > 0
end))

app:get("/received", function() return { received = received } end)
app:delete("/received", function() received = json.array {} end)

return app
