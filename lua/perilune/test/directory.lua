-- test/directory.lua - a working copy of an app's directory, for specs that change files.
--
-- Made in the directory for temporary files; hidden entries are left out, links are followed.

local lfs = require "lfs"

local directory = {}

local TRIES = 100
local CHUNK_BYTES = 65536

local function open(path, mode)
  local file, problem = io.open(path, mode)
  if not file then error(problem, 0) end
  return file
end

local function copy_file(from, to)
  local source <close> = open(from, "rb")
  local target <close> = open(to, "wb")
  for chunk in function() return source:read(CHUNK_BYTES) end do assert(target:write(chunk)) end
end

local function copy_entries(from, to)
  for name in lfs.dir(from) do
    local source, target = from .. "/" .. name, to .. "/" .. name
    local mode = name:sub(1, 1) ~= "." and lfs.attributes(source, "mode")
    if mode == "directory" then
      assert(lfs.mkdir(target))
      copy_entries(source, target)
    elseif mode == "file" then
      copy_file(source, target)
    end
  end
end

--- Copies a directory.
---@param from string absolute
---@return string path of the copy, absolute
function directory.copy(from)
  local parent = os.getenv "TMPDIR" or "/tmp"
  for _ = 1, TRIES do
    local path = ("%s/perilune-%x"):format(parent, math.random(0))
    if lfs.mkdir(path) then
      copy_entries(from, path)
      return path
    end
  end
  error("cannot make a directory in " .. parent, 0)
end

--- Removes a directory and all in it; what is gone already is no error.
---@param path string
function directory.remove(path)
  if lfs.symlinkattributes(path, "mode") ~= "directory" then
    os.remove(path)
    return
  end
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then directory.remove(path .. "/" .. name) end
  end
  lfs.rmdir(path)
end

return directory
