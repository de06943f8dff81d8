-- program.lua - the built perilune as specs start it, and what they need around it.
--
-- The binary is PERILUNE_BINARY, else the one in the build directory of SANITIZE and STRESS.
-- Temporary files and directories are made below os.tmpname's directory; who makes one removes it.
-- Words for the shell are quoted here. What runs to its end has a limit; long-running servers are
-- server.lua's.

local lfs = require "lfs"
local socket = require "socket"

local program = {}

local RUN_LIMIT_S = 30
local PAUSE_S = 0.005

--- The project's directory, absolute.
function program.root()
  local path = debug.getinfo(1, "S").source:match "^@(.*)/[^/]+$" or "."
  if path:sub(1, 1) ~= "/" then path = lfs.currentdir() .. "/" .. path end
  return path:match "^(.*)/spec/support$" or path .. "/../.."
end

function program.binary()
  local sanitize = os.getenv "SANITIZE" or ""
  local build = sanitize == "" and "build" or "build-" .. sanitize
  if os.getenv "STRESS" == "1" then build = build .. "-stress" end
  return os.getenv "PERILUNE_BINARY" or ("%s/%s/perilune"):format(program.root(), build)
end

--- Words as one command for the shell.
function program.quote(words)
  local quoted = {}
  for i, word in ipairs(words) do quoted[i] = "'" .. word:gsub("'", "'\\''") .. "'" end
  return table.concat(quoted, " ")
end

--- Calls check() until it gives something true, which it returns; nil once the limit has passed.
---@param limit number seconds
function program.wait(limit, check)
  local deadline = socket.gettime() + limit
  while true do
    local result = check()
    if result or socket.gettime() > deadline then return result or nil end
    socket.select(nil, nil, PAUSE_S)
  end
end

--- What a file holds; "" when there is none.
function program.read(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or ""
end

--- Writes a file, in directories that are made where they are missing.
function program.write(path, text)
  local parent = path:match "^(.*)/[^/]+$"
  if not lfs.attributes(parent) then
    assert(os.execute("mkdir -p " .. program.quote { parent }))
  end
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(text))
end

--- A new directory with these files: a table from names to texts. Its absolute path.
function program.make_directory(files)
  local path = os.tmpname()
  os.remove(path)
  assert(lfs.mkdir(path))
  for name, text in pairs(files or {}) do program.write(path .. "/" .. name, text) end
  return path
end

--- Removes such a directory with all that is in it.
function program.remove_directory(path)
  for name in lfs.dir(path) do
    local entry = path .. "/" .. name
    if lfs.symlinkattributes(entry, "mode") ~= "directory" then
      assert(os.remove(entry))
    elseif name ~= "." and name ~= ".." then
      program.remove_directory(entry)
    end
  end
  assert(lfs.rmdir(path))
end

--- Runs perilune to its end: { code, out, err }. A signal's code is 128 and its number; 124 means
--- that it did not end in time.
---@param words string[] its arguments
---@param environment? string[] "NAME=value"
function program.run(words, environment)
  local out, err = os.tmpname(), os.tmpname()
  local command = { "env", table.unpack(environment or {}) }
  table.move({ "timeout", "-k", "1", tostring(RUN_LIMIT_S), program.binary() }, 1, 5,
    #command + 1, command)
  table.move(words, 1, #words, #command + 1, command)
  local redirected = ("%s </dev/null >%s 2>%s"):format(program.quote(command), out, err)
  local _, kind, code = os.execute(redirected)
  local result = { code = kind == "signal" and 128 + code or code, out = program.read(out),
    err = program.read(err) }
  os.remove(out)
  os.remove(err)
  return result
end

return program
