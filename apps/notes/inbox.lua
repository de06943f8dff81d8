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
  local function watch()
    for change in fs.watch(directory) do
      if change.type == "created" then
        add(fs.read(change.path))
        fs.remove(change.path)
        log.info("a note has come", { path = change.path })
      end
    end
  end

  app:on_start(function()
    fs.mkdir(directory, { parents = true })
    app.tasks:schedule(watch)
  end)
end
