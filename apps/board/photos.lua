-- photos.lua - photos: uploaded with a form, kept as files, sent with ranges, listed as CSV.
--
-- A photo is named after the request that brought it, so names never clash. Nothing here blocks:
-- files are read and written by other threads while the handler waits.

local fs = require "perilune.fs"
local perilune = require "perilune"
local store = require "store"
local validate = require "validate"

local extensions = {
  ["image/png"] = ".png", ["image/jpeg"] = ".jpg", ["image/gif"] = ".gif", ["image/webp"] = ".webp",
}

local csv_headers = { ["Content-Type"] = "text/csv; charset=utf-8" }

---@param app table
---@param session table session.lua's
---@return table { router=, remove=, make_directory=, sweep= }
return function(app, session)
  local directory = app.settings.data
  local router = perilune.router()

  router:post("", { max_body = "20m", middleware = { session.required } }, function(req)
    local photo = req:file "photo" or perilune.abort(422, "the photo is missing")
    local extension = extensions[photo.content_type]
    if not extension then perilune.abort(415, "a photo is PNG, JPEG, GIF or WebP") end
    local text = validate.text(req:form().text)
    local name = req.id .. extension
    photo:save(directory .. "/" .. name)
    local url = app:url("photo", { name = name })
    local message = store.add { author = session.user(req), text = text, photo = url }
    return 201, message, { Location = url }
  end)

  router:get("/list.csv", function()
    return perilune.stream({ headers = csv_headers }, function(write)
      write "name,bytes\r\n"
      for name in fs.each(directory, { type = "file" }) do
        write(("%s,%d\r\n"):format(name, fs.stat(directory .. "/" .. name).size))
      end
    end)
  end)

  router:get("/{name}", { name = "photo" }, function(req)
    return perilune.file(req.params.name, { root = directory, max_age = 86400, immutable = true })
  end)

  --- Removes the file of a photo.
  ---@param url string as upload gave it
  local function remove(url)
    fs.remove(directory .. "/" .. url:match "[^/]+$", { missing_ok = true })
  end

  --- Removes the photos of messages that the store has dropped.
  local function sweep()
    for _, message in ipairs(store.take_dropped()) do
      if message.photo then remove(message.photo) end
    end
  end

  local function make_directory() fs.mkdir(directory, { parents = true }) end

  return { router = router, remove = remove, make_directory = make_directory, sweep = sweep }
end
