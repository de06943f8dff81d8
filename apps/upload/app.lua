-- app.lua - from an upload to a thumbnail: streamed back, or on its way to a CDN.
--
-- ImageMagick is run without a shell, on a pool whose threads wait for it. The second route answers
-- at once, and one task makes the thumbnail, sends it on and tells of it.

local fs = require "perilune.fs"
local http = require "perilune.http"
local perilune = require "perilune"
local process = require "perilune.process"

local app = perilune.app { name = "upload", pools = { images = { threads = 2, queue = 100 } } }
local settings = app.settings
local services = http.client { base_url = settings.services, timeout = 10 }

local TYPES = { ["image/jpeg"] = "jpeg", ["image/png"] = "png", ["image/gif"] = "gif" }

--- The bytes of a JPEG that is at most `width` pixels wide. The format is said, not guessed.
local thumbnail = perilune.blocking({ pool = "images", timeout = 30 }, function(path, format, width)
  return process.run {
    "convert", ("%s:%s[0]"):format(format, path), "-auto-orient", "-thumbnail",
    ("%dx%d>"):format(width, width), "-strip", "jpeg:-", check = true,
  }.stdout
end)

local function image(req)
  local file = req:file "image" or perilune.abort(422, "a part named image is missing")
  local format = TYPES[file.content_type] or perilune.abort(415, "a JPEG, PNG or GIF is needed")
  return file, format
end

local function width(req)
  local value = math.tointeger(tonumber(req.query.width or "200"))
  if not value or value < 1 or value > 2000 then perilune.abort(400, "width: from 1 to 2000") end
  return value
end

-- A part of up to 1 MiB is in memory, a larger one in a file already; the program wants a file.
app:post("/resize", { max_body = "20m", timeout = 40 }, function(req)
  local file, format = image(req)
  local copy <close> = fs.tempfile()
  file:save(copy.path)
  local bytes = thumbnail(copy.path, format, width(req))
  return perilune.stream({ headers = { ["Content-Type"] = "image/jpeg" } }, function(write)
    for at = 1, #bytes, 65536 do write(bytes:sub(at, at + 65535)) end
  end)
end)

--- One task: thumbnail, CDN, notification.
local function publish(path, format, name)
  local bytes = thumbnail(path, format, 400)
  local headers = { ["Content-Type"] = "image/jpeg" }
  local res = services:put(("/files/%s.jpg"):format(name), { body = bytes, headers = headers })
  local url = res:raise_for_status():json().url
  services:post("/hooks", { json = { event = "published", url = url } }):raise_for_status()
  fs.remove(path)
end

local publishing = {
  name = "publish", shield = true, retries = 2, retry_on = { "http", "timeout" },
  on_error = function(task) fs.remove(task.args[1]) end,
}

app:post("/photos/{name}", { max_body = "20m" }, function(req)
  local file, format = image(req)
  local path = ("%s/%s.%s"):format(settings.directory, req.id, format)
  file:save(path)
  local tasks = req.tasks.after_response:task(publishing)
  return 202, { task = tasks:schedule(publish, path, format, req.params.name).id }
end)

app:on_start(function() fs.mkdir(settings.directory, { parents = true }) end)

app:on_error("process", function() return 422, { detail = "that is no image" } end)

return app
