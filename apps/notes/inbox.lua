-- inbox.lua - a directory whose files become notes: what is moved into it is read and removed.
--
-- One task for the whole process, from the start of the server to its end.

local fs = require "perilune.fs"
local log = require "perilune.log"

--- Calls add(text) for each file that comes.
---@param app table
---@param directory string made at the start
---@param add function
return function(app, directory, add)
  local function take(path)
    if not fs.exists(path) then return end
    add(fs.read(path))
    fs.remove(path)
    log.info("a note has come", { path = path })
  end

  local function follow(changes)
    for name in fs.each(directory, { type = "file" }) do take(directory .. "/" .. name) end
    for change in changes do
      if change.type == "created" then take(change.path) end
    end
  end

  app:on_start(function()
    fs.mkdir(directory, { parents = true })
    app.tasks:schedule(follow, fs.watch(directory)) -- from now on no change is missed
  end)
end
