-- static.lua - app:static: directories whose files are served without Lua.
--
-- Options are checked here, at the app author's line. When the app has loaded, app.statics has the
-- directories of all mounted apps as C reads them (src/roles/app_statics.c): { prefix =, dir =,
-- fields = { { name, value }, ... }, dotfiles =, source = }.

local check = require "perilune.check"
local file = require "perilune.file"
local native = require "perilune.native.app"

local static = {}

local known = { "headers", "max_age", "immutable", "dotfiles" }

--- "/assets/" -> "/assets", "/" -> "".
local function check_prefix(prefix)
  check.type("app:static", 1, prefix, "string", "a path that files are served below")
  if prefix:sub(1, 1) ~= "/" then
    check.fail("the prefix %q does not start with a slash", prefix)
  end
  if prefix:find "[{}%%?#\\\0]" or prefix:find("//", 1, true) then
    check.fail("the prefix %q is not a plain path: it has no parameters and is not encoded", prefix)
  end
  return (prefix:gsub("/$", ""))
end

local function check_dir(app, dir)
  check.type("app:static", 2, dir, "string", "a directory")
  if dir:find("\0", 1, true) then check.fail "the directory's name has a NUL in it" end
  local path = dir:sub(1, 1) == "/" and dir or app.dir .. "/" .. dir
  local problem = native.check_directory(path)
  if problem then check.fail("app:static cannot serve %s: %s", dir, problem) end
  return path
end

local function check_fields(options)
  local fields = {}
  for name, value in pairs(file.headers(options)) do
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      fields[#fields + 1] = { name, tostring(each) }
    end
  end
  table.sort(fields, function(a, b) return a[1] < b[1] end)
  return fields
end

--- Serves the files of a directory below a path, behind the routes.
---@param app table
---@param prefix string "/assets"
---@param dir string relative to the app's directory
---@param options table|nil { headers=, max_age=, immutable=, dotfiles= }
function static.add(app, prefix, dir, options)
  options = options == nil and {} or options
  check.type("app:static", 3, options, "table", "a table of options")
  check.options(options, known)
  check.field(options, "dotfiles", "boolean")
  if app.is_loaded then check.fail "app:static is called while the app loads, not later" end
  app.parts[#app.parts + 1] = {
    kind = "static", prefix = check_prefix(prefix), dir = check_dir(app, dir),
    fields = check_fields(options), dotfiles = options.dotfiles == true, source = check.where(),
  }
end

--- Adds a recorded directory to the list of them all, below the prefix that its app is mounted at.
---@param statics table
---@param part table as static.add records it
---@param outer string
function static.place(statics, part, outer)
  local prefix = outer .. part.prefix
  if prefix:find("{", 1, true) then
    error(("%s: files cannot be served below %s: the prefix has parameters"):format(part.source,
      prefix), 0)
  end
  for _, other in ipairs(statics) do
    if other.prefix == prefix then
      error(("%s: files are served at %s already, at %s"):format(part.source,
        prefix == "" and "/" or prefix, other.source), 0)
    end
  end
  statics[#statics + 1] = {
    prefix = prefix, dir = part.dir, fields = part.fields, dotfiles = part.dotfiles,
    source = part.source,
  }
end

return static
