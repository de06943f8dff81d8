-- app.lua - what perilune.http is tried against, and where its cases run.
--
-- As a process of its own it answers, slowly, in pieces, not at all; what became of its clients is
-- told by /seen. In the spec's state /plain/NAME, /blocking/NAME and /background/NAME run a case of
-- cases.lua against the server at `base`.

local async = require "perilune.async"
local cases = require "cases"
local http = require "perilune.http"
local json = require "perilune.json"
local perilune = require "perilune"

local app = perilune.app { name = "client" }

local CROWD = 1000
local PIECE = ("x"):rep(64 * 1024)
local LONG_SECONDS = 60

local seen = {} -- by key: what happened with it
local counts = {} -- by key: requests
local gates = {} -- by key: what a request waits for
local crowd = { now = 0, most = 0, is_there = async.event() }

local function run_case(req)
  local ok, err = xpcall(cases[req.params.name], debug.traceback, req.query.base)
  if not ok then return 500, tostring(err) end
  return "went well"
end

app:get("/plain/{name}", run_case)
app:get("/blocking/{name}", perilune.blocking(run_case))
app:get("/background/{name}", perilune.background("cases", run_case))

app:get("/seen/{key}", function(req)
  return { seen = seen[req.params.key], count = counts[req.params.key] or 0 }
end)

--- Sends a file of the app's own directory to the server at `base`.
app:get("/relative", function(req)
  local multipart = { file = { path = "app.lua" } }
  return http.post(req.query.base .. "/form", { multipart = multipart }):json().files[1].filename
end)

local function count(key)
  counts[key] = (counts[key] or 0) + 1
  return counts[key]
end

--- Notes under the key that the block which has it was left.
local function noting(key)
  return setmetatable({}, { __close = function() seen[key] = "left" end })
end

-- --- whole answers ------------------------------------------------------------------------------

local function echo(req)
  local headers = {}
  for name in pairs(req.headers) do headers[name] = req:header_all(name) end
  return { method = req.method, target = req.target, headers = headers, body = req.body }
end

app:route({ "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS" }, "/echo", echo)

app:get("/cookies", function()
  return perilune.response { body = "ok" }:cookie("a", "1", { path = "/x" }):cookie("b", "2")
end)

app:get("/status/{status:int}", function(req) return req.params.status, { no = "luck" } end)

app:get("/big/{bytes:int}", function(req) return ("a"):rep(req.params.bytes) end)

app:post("/form", function(req)
  local files = {}
  for i, file in ipairs(req:files()) do
    files[i] = { name = file.name, filename = file.filename, content_type = file.content_type,
      size = file.size, text = file:read():sub(1, 100) }
  end
  return { fields = req:form(), tags = req:form_all "tags", files = json.array(files) }
end)

-- --- redirects ----------------------------------------------------------------------------------

app:any("/redirect", function(req)
  return tonumber(req.query.status or 302), "", { Location = req.query.to }
end)

app:get("/loop/{n:int}", function(req)
  return perilune.redirect(("/loop/%d"):format(req.params.n + 1))
end)

-- --- failures that pass -------------------------------------------------------------------------

--- 503 so many times, then 200.
app:route({ "GET", "POST", "PUT" }, "/flaky/{key}", function(req)
  local n = count(req.params.key)
  if n > tonumber(req.query.times or "2") then return tostring(n) end
  return tonumber(req.query.status or "503"), "later", { ["Retry-After"] = req.query.after }
end)

-- --- what takes time ----------------------------------------------------------------------------

app:get("/hang/{key}", { cancel_on_disconnect = true }, function(req)
  local _ <close> = noting(req.params.key)
  count(req.params.key)
  async.sleep(LONG_SECONDS)
end)

--- Answers before the body has come.
app:post("/refuse", { stream_body = true }, function() return 413, "no" end)

--- Reads no body before it is told to by another request.
app:post("/closed/{key}", { stream_body = true, max_body = "1g" }, function(req)
  local gate = async.event()
  gates[req.params.key] = gate
  count(req.params.key)
  gate:wait(LONG_SECONDS)
  for _ in req:chunks() do end
  return "read"
end)
app:post("/opened/{key}", function(req) gates[req.params.key]:set() end)

--- Answers with the number of bytes of a body, and how often some came.
app:post("/count", { stream_body = true, max_body = "1g" }, function(req)
  local bytes, pieces = 0, 0
  for piece in req:chunks() do bytes, pieces = bytes + #piece, pieces + 1 end
  return { bytes = bytes, pieces = pieces, length = req.headers["content-length"] }
end)

--- Answers each piece of the body as it comes.
app:post("/mirror", { stream_body = true, max_body = "1g" }, function(req)
  return perilune.stream(function(write)
    for piece in req:chunks() do write(piece) end
  end)
end)

--- Pieces, and then nothing for long.
app:get("/trickle/{key}", function(req)
  local key = req.params.key
  return perilune.stream(function(write)
    local _ <close> = noting(key)
    for i = 1, tonumber(req.query.pieces or "3") do write(("piece %d\n"):format(i)) end
    if req.query.ends then return end
    count(key)
    for _ = 1, LONG_SECONDS * 100 do
      async.sleep(0.01)
      if req.query.beats then write "." end
    end
  end)
end)

--- As much as is taken; text would be compressed to nothing.
app:get("/flood/{key}", function(req)
  local key = req.params.key
  local headers = { ["Content-Type"] = "application/octet-stream" }
  return perilune.stream({ headers = headers }, function(write)
    local _ <close> = noting(key)
    while true do
      write(PIECE)
      count(key)
    end
  end)
end)

--- Answers once so many ask.
app:get("/crowd", function()
  crowd.now = crowd.now + 1
  crowd.most = math.max(crowd.most, crowd.now)
  if crowd.now >= CROWD then crowd.is_there:set() end
  crowd.is_there:wait(LONG_SECONDS)
  crowd.now = crowd.now - 1
  return { most = crowd.most }
end)

return app
