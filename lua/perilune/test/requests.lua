-- test/requests.lua - a test client's requests: URLs of its own, cookies, redirects.
--
-- What perilune.http takes and gives passes through. Redirects are followed here, one request after
-- the other, so that cookies set on the way count.

local check = require "perilune.check"
local cookies = require "perilune.test.cookies"
local http = require "perilune.http"
local native = require "perilune.native.service"

local requests = {}

local REDIRECTS_MAX = 10

local redirects = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local body_options = { "json", "form", "body", "multipart" }

--- Scheme, host, port and path of a URL.
local function parse(url)
  local scheme, authority, path = url:match "^(%a[%w+.-]*)://([^/?#]*)([^?#]*)"
  if not scheme then return nil end
  local host = authority:gsub("^.*@", "")
  local name = host:match "^%[(.-)%]" or host:gsub(":%d*$", "")
  return { scheme = scheme:lower(), authority = host:lower(), host = name:lower(),
    path = path == "" and "/" or path }
end

--- Takes "." and ".." out of a path (RFC 3986, 5.2.4).
local function remove_dots(path)
  local out = {}
  for segment in path:gmatch "/([^/]*)" do
    if segment == ".." then
      table.remove(out)
    elseif segment ~= "." then
      out[#out + 1] = segment
    end
  end
  if path:find "/%.%.?$" then out[#out + 1] = "" end
  return "/" .. table.concat(out, "/")
end

--- The URL that a reference means in a document at `base` (RFC 3986, 5.2).
local function resolve(base, reference)
  reference = reference:gsub("#.*$", "")
  if reference:find "^%a[%w+.-]*:" then return reference end
  local root = base:match "^%a[%w+.-]*://[^/?#]*"
  if reference:find "^//" then return base:match "^%a[%w+.-]*:" .. reference end
  if reference == "" then return (base:gsub("#.*$", "")) end
  local path, query = reference:match "^([^?]*)(.*)$"
  local base_path = base:sub(#root + 1):match "^[^?#]*"
  if path == "" then return root .. base_path .. query end
  if path:sub(1, 1) ~= "/" then path = (base_path:match "^(.*/)" or "/") .. path end
  return root .. remove_dots(path) .. query
end

requests.resolve = resolve

local function find_header(headers, wanted)
  for name, value in pairs(headers or {}) do
    if type(name) == "string" and name:lower() == wanted then return value end
  end
end

local function without(headers, names)
  local copy = {}
  for name, value in pairs(headers or {}) do
    if not names[tostring(name):lower()] then copy[name] = value end
  end
  return copy
end

local function shallow_copy(options)
  local copy = {}
  for key, value in pairs(options) do copy[key] = value end
  return copy
end

--- What cookies go by: who is asked. A Host field says which name it has.
local function target_of(url, headers)
  local parts = parse(url)
  if not parts then return nil end
  local host = find_header(headers, "host")
  local is_loopback = not host and (parts.host == "127.0.0.1" or parts.host == "localhost"
    or parts.host == "::1")
  if type(host) == "string" then parts.host = host:gsub(":%d*$", ""):lower() end
  parts.is_secure = parts.scheme == "https" or is_loopback
  return parts
end

--- One request, with its cookies.
local function send(client, method, url, options)
  local target = target_of(url, options.headers)
  local has_own = find_header(options.headers, "cookie") ~= nil
  local line = target and not has_own and cookies.header(client.cookies, target, client.now())
  local sent = shallow_copy(options)
  sent.method, sent.url, sent.follow_redirects = method, url, nil
  if line then
    sent.headers = shallow_copy(options.headers or {})
    sent.headers.Cookie = line
  end
  local res = check.call(http.request, sent)
  if target then
    cookies.take(client.cookies, res:header_all("set-cookie"), target, client.now())
  end
  return res
end

local function is_same_origin(a, b)
  local x, y = parse(a), parse(b)
  return x and y and x.scheme == y.scheme and x.authority == y.authority
end

--- Method and options of the request that a redirect asks for.
local function follow(status, method, options)
  local becomes_get = status == 303 and method ~= "HEAD"
    or (status == 301 or status == 302) and method == "POST"
  if not becomes_get then return method, options end
  options = shallow_copy(options)
  for _, name in ipairs(body_options) do options[name] = nil end
  options.headers = without(options.headers, { ["content-type"] = true, ["content-length"] = true })
  return "GET", options
end

local function check_arguments(name, path, options)
  check.type("client:" .. name, 1, path, "string", "a path")
  if not path:find "^/" and not path:find "^https?://" then
    check.fail('client:%s: the path begins with "/", not "%s"', name, path)
  end
  if options == nil then return end
  check.type("client:" .. name, 2, options, "table", "a table of options")
end

--- Sends a request and gives its response.
---@param client table
---@param method string
---@param path string from "/" on, or a URL
---@param options table|nil
function requests.send(client, method, path, options)
  check_arguments(method:lower(), path, options)
  options = options or {}
  local url = path:sub(1, 1) == "/" and client.url .. path or path
  local first = url
  for _ = 0, REDIRECTS_MAX do
    local res = send(client, method, url, options)
    local location = redirects[res.status] and res.headers.location
    if not options.follow_redirects or not location then return res end
    local next_url = resolve(res.url or url, location)
    method, options = follow(res.status, method, shallow_copy(options))
    options.query = nil
    if not is_same_origin(url, next_url) then
      options.headers = without(options.headers, { authorization = true, cookie = true })
    end
    url = next_url
  end
  native.fail("http", ("%s %s: more than %d redirects"):format(method, first, REDIRECTS_MAX))
end

return requests
