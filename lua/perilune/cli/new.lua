-- new.lua - `perilune new PATH`: makes an app to begin with.
--
-- Copies the files of new_app/ with the app's name put in, and a .luarc.json for the Lua language
-- server. An existing directory is taken only when it is empty; nothing is ever overwritten. The
-- commands that it prints work from where it was run, with the program as it was called.

local lfs = require "lfs"
local native = require "perilune.native.server"
local fail = require "perilune.cli.fail"

local new = {
  usage = "perilune new PATH",
  summary = "Make a new app.",
  description = "Makes an app in the new directory PATH: a route, a blocking function, a task, a"
    .. " spec, settings, and what an editor needs. The last part of PATH is its name.",
  argument = { name = "PATH", description = "The directory to make, as in apps/shop." },
}

--- Files of an app: those of new_app/, in the order in which they are told of.
local files = { "app.lua", "conf.lua", "spec/app_spec.lua" }
local NAME, LIBRARY = "NAME", "LIBRARY"

--- Makes a directory and those above it that are missing.
local function make_directory(path)
  local parent = path:match "^(.+)/[^/]+$"
  if parent and not lfs.attributes(parent) then make_directory(parent) end
  if lfs.attributes(path, "mode") == "directory" then return end
  local ok, problem = lfs.mkdir(path)
  if not ok then fail("failed", "cannot make the directory %s: %s", path, problem) end
end

local function is_empty(path)
  for name in lfs.dir(path) do
    if name ~= "." and name ~= ".." then return false end
  end
  return true
end

local function write(path, text)
  local file, problem = io.open(path, "wb")
  local ok = file
  if file then
    ok, problem = file:write(text)
    file:close()
  end
  if not ok then fail("failed", "cannot write %s", problem) end
end

local function read_template(name)
  local path = ("%s/perilune/cli/new_app/%s"):format(native.lua_dir(), name)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

--- The settings of the Lua language server, with the directory of the definitions.
local function luarc()
  local library = (native.lua_dir() .. "/perilune/types"):gsub('[\\"]', "\\%0")
  return (read_template "luarc.json":gsub(LIBRARY, function() return library end))
end

--- The app's name and directory, of a path that can be made.
local function check(path)
  local dir = path:gsub("/+$", "")
  local name = dir:match "[^/]*$"
  if not name:find "^%a[%w_-]*$" then
    fail("usage", "%q is no name for an app: it begins with a letter and has letters, digits,"
      .. " \"-\" and \"_\"", name)
  end
  local mode = lfs.attributes(dir, "mode")
  if mode and mode ~= "directory" then
    fail("failed", "%s is there already, and no directory", dir)
  end
  if mode and not is_empty(dir) then
    fail("failed", "the directory %s is there already and not empty", dir)
  end
  return name, dir
end

--- A word as the shell reads it.
local function shell_word(word)
  if word:find "^[%w%._/+-]+$" then return word end
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

local function tell(dir)
  local program, shown = shell_word(native.program()), shell_word(dir)
  io.write(("made %s: %s, .luarc.json\n\n"):format(dir, table.concat(files, ", ")))
  for _, line in ipairs {
    { "dev", "serves it on http://127.0.0.1:8080, anew on each change" },
    { "test", "runs its specs" },
    { "check", "looks for mistakes" },
    { "serve", "serves it to others" },
  } do
    io.write(("  %s %-6s %s   # %s\n"):format(program, line[1], shown, line[2]))
  end
end

---@param parsed table path, as typed
---@return integer exit_code
function new.run(parsed)
  local name, dir = check(parsed.dir)
  make_directory(dir .. "/spec")
  for _, file in ipairs(files) do
    write(dir .. "/" .. file, (read_template(file):gsub(NAME, name)))
  end
  write(dir .. "/.luarc.json", luarc())
  tell(dir)
  return 0
end

return new
