-- cookie.lua - Set-Cookie lines: the attributes of cookies and what may not go together.
--
-- cookie.format gives the value of one Set-Cookie field, safe unless told otherwise: Path=/,
-- HttpOnly, SameSite=Lax. Names, values and signatures are C's part (src/lib/cookies.c). RFC 6265
-- and the rules of its successor that browsers follow: SameSite, __Host- and __Secure-.

local check = require "perilune.check"
local native = require "perilune.native.cookies"

local cookie = {}

local known = { "path", "domain", "max_age", "expires", "secure", "http_only", "same_site",
  "secret" }
local same_sites = { lax = "Lax", strict = "Strict", none = "None" }
local LAST_TIME = 253402300799 -- the end of the year 9999

local function check_path(path)
  if path:find "^/[ -:<-~]*$" then return path end
  check.fail('the path of a cookie begins with "/" and has no ";" or control character, not "%s"',
    path)
end

local function check_domain(domain)
  local name = domain:gsub("^%.", "")
  if name:find "^[%w._-]+$" and not name:find("..", 1, true) then return name end
  check.fail('the domain of a cookie is the name of a host, not "%s"', domain)
end

local function check_max_age(seconds)
  local whole = math.tointeger(seconds)
  if whole and whole >= 0 then return whole end
  check.fail("max_age is a whole number of seconds, 0 to delete the cookie, not %s",
    check.show(seconds))
end

local function format_expires(time)
  if time >= 0 and time <= LAST_TIME then
    return os.date("!%a, %d %b %Y %H:%M:%S GMT", math.floor(time))
  end
  check.fail("expires is a time as os.time() gives it, not %s", check.show(time))
end

local function check_same_site(options)
  local value = (options.same_site or "lax"):lower()
  if not same_sites[value] then
    check.fail('same_site is "lax", "strict" or "none", not "%s"', value)
  end
  if value == "none" and not options.secure then
    check.fail('same_site = "none" needs secure = true: browsers refuse the cookie otherwise')
  end
  return same_sites[value]
end

--- Browsers refuse cookies of such names without these attributes.
local function check_prefix(name, options)
  local lower = name:lower()
  local is_host = lower:find("__host-", 1, true) == 1
  if (is_host or lower:find("__secure-", 1, true) == 1) and not options.secure then
    check.fail('a cookie called "%s" needs secure = true', name)
  end
  if is_host and (options.domain ~= nil or (options.path or "/") ~= "/") then
    check.fail('a cookie called "%s" has the path "/" and no domain', name)
  end
end

local function check_options(name, options)
  check.type("res:cookie", 3, options, "table", "a table of options")
  check.options(options, known)
  for _, field in ipairs { "path", "domain", "same_site" } do
    check.field(options, field, "string")
  end
  for _, field in ipairs { "max_age", "expires" } do check.field(options, field, "number") end
  for _, field in ipairs { "secure", "http_only" } do check.field(options, field, "boolean") end
  if options.secret ~= nil and type(options.secret) ~= "table" then
    check.field(options, "secret", "string")
  end
  check_prefix(name, options)
end

--- The value of one Set-Cookie field.
---@param name string
---@param value string|number|nil nil deletes the cookie
---@param options table|nil { path=, domain=, max_age=, expires=, secure=, http_only=, same_site=,
--- secret= }
function cookie.format(name, value, options)
  check.type("res:cookie", 1, name, "string", "the cookie's name")
  if value ~= nil and type(value) ~= "string" and type(value) ~= "number" then
    check.fail("the value of a cookie is a string, or nil to delete it, not a %s", type(value))
  end
  options = options == nil and {} or options
  check_options(name, options)
  local secret = value ~= nil and options.secret or nil
  local parts = { check.call(native.pair, name, value == nil and "" or tostring(value), secret) }
  local function add(text) parts[#parts + 1] = text end
  add("Path=" .. check_path(options.path or "/"))
  if options.domain then add("Domain=" .. check_domain(options.domain)) end
  local max_age = value == nil and 0 or options.max_age
  if max_age then add("Max-Age=" .. check_max_age(max_age)) end
  local expires = max_age == 0 and 0 or options.expires
  if expires then add("Expires=" .. format_expires(expires)) end
  if options.secure then add "Secure" end
  if options.http_only ~= false then add "HttpOnly" end
  add("SameSite=" .. check_same_site(options))
  return table.concat(parts, "; ")
end

--- What tells cookies apart: name, path and domain.
local function identity(line)
  local lower = line:lower()
  return table.concat({ line:match "^[^=]*", line:match("; Path=([^;]*)") or "",
    lower:match("; domain=([^;]*)") or "" }, "\n")
end

--- Puts a line into a list of them, in place of one for the same cookie: RFC 6265 4.1.1.
---@param lines string|string[]|nil
---@return string[]
function cookie.merge(lines, line)
  local result = {}
  for _, old in ipairs(type(lines) == "table" and lines or { lines }) do
    if identity(tostring(old)) ~= identity(line) then result[#result + 1] = old end
  end
  result[#result + 1] = line
  return result
end

return cookie
