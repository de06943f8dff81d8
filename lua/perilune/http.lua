-- http.lua - `require "perilune.http"`: requests to other servers, and clients with defaults.
--
-- get, post, ... and request are those of src/lib/client.c as they are. A client is a base URL and
-- default options; what one request says goes before them, headers and query name by name.

local check = require "perilune.check"
local native = require "perilune.native.http"

local http = {}

local Client = { __name = "client" }
Client.__index = Client

local method_names = { "get", "post", "put", "patch", "delete", "head", "options" }
local own_options = { "base_url", "headers", "query", "timeout", "connect_timeout", "idle_timeout",
  "follow_redirects", "retries", "retry_unsafe", "backoff", "stream", "verify", "ca_file",
  "ca_path", "max_body", "unix_socket" }

local function copy(source)
  local result = {}
  for name, value in pairs(source) do result[name] = value end
  return result
end

--- The defaults with the given names over them; `key` tells which names are the same.
local function merge_names(option, defaults, given, key)
  if type(given) ~= "table" then
    check.fail('option "%s" is a table, not a %s', option, type(given))
  end
  local result, is_given = copy(given), {}
  for name in pairs(given) do is_given[key(name)] = true end
  for name, value in pairs(defaults) do
    if not is_given[key(name)] then result[name] = value end
  end
  return result
end

local mergers = {
  headers = function(name) return type(name) == "string" and name:lower() or name end,
  query = function(name) return name end,
}

local function merge(defaults, given)
  local result = copy(defaults)
  for name, value in pairs(given) do
    local key = mergers[name]
    if key and defaults[name] ~= nil then
      value = merge_names(name, defaults[name], value, key)
    end
    result[name] = value
  end
  return result
end

local function is_absolute(url)
  return url:find "^%a[%w+.-]*://" ~= nil
end

--- A path goes behind the base URL, whatever slashes are between; a whole URL stays what it is.
local function join(base_url, url)
  if not base_url or is_absolute(url) then return url end
  if url == "" or url:find "^[?#]" then return base_url .. url end
  return (base_url:gsub("/+$", "")) .. "/" .. (url:gsub("^/+", ""))
end

local function check_arguments(what, url, options)
  check.type(what, 1, url, "string", "a path or URL")
  if options ~= nil then check.type(what, 2, options, "table", "a table of options") end
end

for _, name in ipairs(method_names) do
  local what = "client:" .. name
  http[name] = native[name]
  Client[name] = native.merged(function(self, url, options)
    check.self(self, Client, name)
    check_arguments(what, url, options)
    return join(self._base_url, url), merge(self._defaults, options or {}), name
  end, what)
end

http.request = native.request

Client.request = native.merged(function(self, options)
  check.self(self, Client, "request")
  check.type("client:request", 1, options, "table", "a table of options")
  check.field(options, "url", "string")
  check.field(options, "method", "string")
  local merged = merge(self._defaults, options)
  merged.url, merged.method = nil, nil
  return join(self._base_url, options.url or ""), merged, options.method or "GET"
end, "client:request")

local function check_base_url(url)
  check.type("http.client", 1, url, "string", "a table whose base_url is a string")
  if not url:find "^[Hh][Tt][Tt][Pp][Ss]?://[^/?#]" or url:find "[?#]" then
    check.fail('option "base_url" is an http or https URL without query, not "%s"', url)
  end
end

--- A client: the functions of this module as methods, with defaults.
---@param options table { base_url=, headers=, timeout=, ... }
---@usage local api = http.client { base_url = "https://api.example.org/v1", timeout = 5 }
---@usage local users = api:get("/users", { query = { page = 2 } }):raise_for_status():json()
function http.client(options)
  check.type("http.client", 1, options, "table", "a table of options")
  check.options(options, own_options)
  if options.base_url ~= nil then check_base_url(options.base_url) end
  local defaults = copy(options)
  defaults.base_url = nil
  for name in pairs(mergers) do
    if type(defaults[name]) == "table" then defaults[name] = copy(defaults[name]) end
  end
  check.call(native.check, defaults)
  return setmetatable({ _base_url = options.base_url, _defaults = defaults }, Client)
end

return http
