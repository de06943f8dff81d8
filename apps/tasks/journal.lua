-- journal.lua - a file in which tasks write what they have done, a line each.
--
-- The same function for tasks on the event loop and on the pool: fs.append writes a line as a
-- whole, whoever else writes at that moment.

local fs = require "perilune.fs"
local json = require "perilune.json"

local journal = {}

local path

--- Says where the file is; it is emptied when the server starts.
function journal.open(file, app)
  path = file
  app:on_start(function() fs.write(path, "") end)
end

function journal.write(text, ...) fs.append(path, text:format(...) .. "\n") end

function journal.lines()
  local lines = json.array {}
  for line in fs.read(path):gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

return journal
