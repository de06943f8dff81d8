-- photos.lua - photos: uploaded with a form, kept as files, sent with ranges, listed as CSV.
--
-- A photo is named after the request that brought it, so names never clash. What only blocks (the
-- directory is read entry by entry) runs on the thread pool.

local lfs = require "lfs"
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

  router:get("/list.csv", perilune.blocking(function()
    return perilune.stream({ headers = csv_headers }, function(write)
      write "name,bytes\r\n"
      for name in lfs.dir(directory) do
        local bytes = lfs.attributes(directory .. "/" .. name, "size")
        if name:sub(1, 1) ~= "." then write(("%s,%d\r\n"):format(name, bytes)) end
      end
    end)
  end))

  router:get("/{name}", { name = "photo" }, function(req)
    return perilune.file(req.params.name, { root = directory, max_age = 86400, immutable = true })
  end)

  --- Removes the file of a photo.
  ---@param url string as upload gave it
  local function remove(url)
    os.remove(directory .. "/" .. url:match "[^/]+$")
  end

  --- Removes the photos of messages that the store has dropped.
  local function sweep()
    for _, message in ipairs(store.take_dropped()) do
      if message.photo then remove(message.photo) end
    end
  end

  local make_directory = perilune.blocking(function()
    lfs.mkdir(directory) -- may be there
    local is_there = lfs.attributes(directory, "mode") == "directory"
    if not is_there then error("there is no directory " .. directory .. " for photos", 0) end
  end)

  return { router = router, remove = remove, make_directory = make_directory, sweep = sweep }
end
