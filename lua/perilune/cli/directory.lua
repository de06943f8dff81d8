-- directory.lua - the directory that a command was given.
--
-- Says what is wrong with it in the words the user typed, and gives it as an absolute path, since
-- the server hands it to threads and may outlive a change of directory. Symbolic links are kept.

local lfs = require "lfs"
local fail = require "perilune.cli.fail"

local directory = {}

---@param path string as typed
---@return string absolute without "/" at the end
function directory.absolute(path)
  local attributes = lfs.attributes(path)
  if not attributes then fail("failed", "no such directory: %s", path) end
  if attributes.mode ~= "directory" then fail("failed", "%s is not a directory", path) end
  if path:sub(1, 1) ~= "/" then path = lfs.currentdir() .. "/" .. path end
  path = (path .. "/"):gsub("/+", "/")
  while path:find("/./", 1, true) do path = path:gsub("/%./", "/") end
  return path == "/" and path or path:sub(1, -2)
end

---@param path string
---@return boolean
function directory.has_app(path)
  return lfs.attributes(path .. "/app.lua", "mode") == "file"
end

--- The absolute path of an app's directory.
---@param path string as typed
---@return string absolute
function directory.of_app(path)
  local absolute = directory.absolute(path)
  if not directory.has_app(absolute) then
    fail("failed", "%s has no app.lua (perilune new PATH makes an app)", path)
  end
  return absolute
end

--- Whether there are specs in the directory or below it; links and hidden directories are left out.
---@param path string
---@return boolean
function directory.has_specs(path)
  if lfs.attributes(path, "mode") ~= "directory" then return false end
  for name in lfs.dir(path) do
    local entry = path .. "/" .. name
    local mode = name:sub(1, 1) ~= "." and lfs.symlinkattributes(entry, "mode")
    if mode == "file" and name:find("_spec%.lua$") then return true end
    if mode == "directory" and directory.has_specs(entry) then return true end
  end
  return false
end

return directory
