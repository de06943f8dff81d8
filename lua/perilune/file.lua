-- file.lua - perilune.file: a response whose body is a file, and what files are sent with.
--
-- The response is plain data, so blocking handlers may return it: the path and the headers are put
-- together here, C looks for the file when the response is due (src/http/file.h).

local check = require "perilune.check"
local develop = require "perilune.native.develop"
local native = require "perilune.native.app"
local response = require "perilune.response"

local file = {}

local known = {
  "status", "headers", "content_type", "download", "filename", "max_age", "immutable", "root",
}
local MAX_AGE_MAX_S = 2 ^ 31 - 1

local function has_header(headers, name)
  for key in pairs(headers) do
    if key:lower() == name then return true end
  end
  return false
end

--- The Cache-Control that max_age and immutable stand for, or nil.
---@param options table
---@return string|nil
function file.cache_control(options)
  local max_age, immutable = options.max_age, options.immutable
  check.field(options, "immutable", "boolean")
  if max_age ~= nil then
    local is_age = math.type(max_age) == "integer" and max_age >= 0 and max_age <= MAX_AGE_MAX_S
    if not is_age then
      check.fail('option "max_age" is a whole number of seconds, not %s', check.show(max_age))
    end
  elseif immutable then
    check.fail 'option "immutable" needs max_age, the seconds for which the file may be kept'
  end
  if not max_age then return nil end
  return ("public, max-age=%d%s"):format(max_age, immutable and ", immutable" or "")
end

--- While an app is being developed its files are asked for each time.
local function set_fresh(headers)
  for name in pairs(headers) do
    if name:lower() == "cache-control" then headers[name] = nil end
  end
  headers["Cache-Control"] = "no-store"
end

--- The headers of the options, checked and with Cache-Control.
---@param options table { headers=, max_age=, immutable= }
---@return table
function file.headers(options)
  local headers = {}
  check.field(options, "headers", "table")
  response.check_headers(options.headers)
  for name, value in pairs(options.headers or {}) do headers[name] = value end
  local cache_control = file.cache_control(options)
  if cache_control and has_header(headers, "cache-control") then
    check.fail "Cache-Control is set twice: by max_age and by headers"
  end
  headers["Cache-Control"] = headers["Cache-Control"] or cache_control
  if develop.is_on() then set_fresh(headers) end
  return headers
end

--- Content-Disposition as RFC 6266 has it: a name of plain ASCII, and the true one where it is not.
local function disposition(kind, name)
  local plain = name:gsub("[\0-\31\127-\255\"\\%%]", "_")
  local value = ('%s; filename="%s"'):format(kind, plain)
  if plain == name then return value end
  local encoded = name:gsub("[^%w!#$&+.^_`|~-]", function(byte)
    return ("%%%02X"):format(byte:byte())
  end)
  return ("%s; filename*=UTF-8''%s"):format(value, encoded)
end

local function add_disposition(headers, path, options)
  local name, download = options.filename, options.download
  if download ~= nil and type(download) ~= "boolean" and type(download) ~= "string" then
    check.fail('option "download" is true, false or a file name, not a %s', type(download))
  end
  if type(download) == "string" then
    if name ~= nil then check.fail "download and filename both name the file" end
    name, download = download, true
  end
  if download then name = name or path:match "[^/]*$" end
  if not name then return end
  if name == "" or not utf8.len(name) then
    check.fail("the file's name is not empty and UTF-8, not %q", name)
  end
  local is_inline = download == false
  headers["Content-Disposition"] = disposition(is_inline and "inline" or "attachment", name)
end

local function absolute(path)
  if path:sub(1, 1) == "/" then return path end
  local directory = native.directory()
  return directory .. "/" .. path
end

--- A response that is a file. Conditional requests and ranges are answered as they should be; a
--- file that does not exist is 404.
---@param path string relative to the app's directory, or to `root`
---@param options table|nil { status=, headers=, content_type=, download=, filename=, max_age=,
---   immutable=, root= }
---@usage return perilune.file("reports/2026.pdf", { download = true })
---@usage return perilune.file(req.params.name, { root = "uploads" }) -- never leaves uploads
function file.new(path, options)
  options = options == nil and {} or options
  check.type("perilune.file", 1, path, "string", "a path")
  check.type("perilune.file", 2, options, "table", "a table of options")
  check.options(options, known)
  check.field(options, "content_type", "string")
  check.field(options, "filename", "string")
  check.field(options, "root", "string")
  if path == "" and not options.root then check.fail "perilune.file needs a path" end
  local headers = file.headers(options)
  if options.content_type then
    if has_header(headers, "content-type") then
      check.fail "Content-Type is set twice: by content_type and by headers"
    end
    check.call(native.check_header, "Content-Type", options.content_type)
    headers["Content-Type"] = options.content_type
  end
  add_disposition(headers, path, options)
  local result = response.new { status = options.status, headers = headers }
  result.file = options.root and path or absolute(path)
  result.root = options.root and absolute(options.root)
  return result
end

return file
