-- test/cookies.lua - the cookies of a test client: what responses set, and what requests send.
--
-- RFC 6265, section 5: domains, paths, expiry, Secure. As browsers do, loopback counts as secure.
-- `client.cookies` is a table of values by name that may be read, set, deleted and iterated.

local cookies = {}

local LAST_TIME = 1e12
local DAY_SECONDS = 86400

local months = {}
for i, name in ipairs { "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov",
  "dec" } do
  months[name] = i
end

--- Seconds since 1970 of a date in UTC.
local function to_time(year, month, day, hour, minute, second)
  local y = month > 2 and year or year - 1
  local m = (month + 9) % 12
  local days = 365 * y + y // 4 - y // 100 + y // 400 + (153 * m + 2) // 5 + day - 1 - 719468
  return days * DAY_SECONDS + hour * 3600 + minute * 60 + second
end

--- A date of a cookie (RFC 6265, 5.1.1); nil when it is none.
local function parse_date(text)
  local hour, minute, second, day, month, year
  for token in text:gmatch "[^%s,;%-/]+" do
    local h, m, s = token:match "^(%d%d?):(%d%d?):(%d%d?)$"
    if h then
      hour, minute, second = tonumber(h), tonumber(m), tonumber(s)
    elseif months[token:sub(1, 3):lower()] then
      month = months[token:sub(1, 3):lower()]
    elseif token:find "^%d%d?$" and not day then
      day = tonumber(token)
    elseif token:find "^%d%d%d?%d?$" then
      year = tonumber(token)
    end
  end
  if not (hour and day and month and year) then return nil end
  if year < 70 then year = year + 2000 elseif year < 100 then year = year + 1900 end
  local is_time = hour < 24 and minute < 60 and second < 60
  if not is_time or day < 1 or day > 31 or year < 1601 then return nil end
  return to_time(year, month, day, hour, minute, second)
end

local function is_address(host)
  return host:find "^[%d.]+$" ~= nil or host:find(":", 1, true) ~= nil
end

local function is_below(host, domain)
  if host == domain then return true end
  return not is_address(host) and host:sub(-#domain - 1) == "." .. domain
end

local function is_on_path(path, prefix)
  if path == prefix then return true end
  if path:sub(1, #prefix) ~= prefix then return false end
  return prefix:sub(-1) == "/" or path:sub(#prefix + 1, #prefix + 1) == "/"
end

--- The directory of the request that set it.
local function default_path(path)
  return path:match "^(/.*)/" or "/"
end

--- Name, value and attributes of a Set-Cookie line; nil when it is none.
local function parse(line)
  local pair, rest = line:match "^([^;]*)(.*)$"
  local name, value = pair:match "^%s*(.-)%s*=%s*(.-)%s*$"
  if not name or name == "" then return nil end
  local attributes = {}
  for attribute in rest:gmatch "[^;]+" do
    local key, text = attribute:match "^%s*([^=]-)%s*=%s*(.-)%s*$"
    attributes[(key or attribute:match "^%s*(.-)%s*$"):lower()] = text or ""
  end
  return name, value, attributes
end



local function expiry(attributes, now)
  local seconds = attributes["max-age"] and attributes["max-age"]:match "^%-?%d+$"
  if seconds then return now + math.min(tonumber(seconds), LAST_TIME) end
  local date = attributes.expires and parse_date(attributes.expires)
  return date and now + (date - os.time())
end

--- The domain it is for, and whether for that host alone; nil: it may not be set from there.
local function find_domain(attributes, host)
  local domain = (attributes.domain or ""):lower():gsub("^%.", "")
  if domain == "" then return host, true end
  if is_below(host, domain) then return domain, is_address(host) end
end

local function remove(list, name, domain, path)
  for i = #list, 1, -1 do
    local other = list[i]
    if other.name == name and other.domain == domain and other.path == path then
      return table.remove(list, i)
    end
  end
end

--- Takes the Set-Cookie lines of a response.
---@param jar table
---@param lines string[]
---@param from table host, path, is_secure of the request
---@param now number seconds on the clock that expiry goes by
function cookies.take(jar, lines, from, now)
  local list = getmetatable(jar).list
  for _, line in ipairs(lines) do
    local name, value, attributes = parse(line)
    local domain, is_host_only
    if name then domain, is_host_only = find_domain(attributes, from.host) end
    local is_secure = attributes and attributes.secure ~= nil
    if domain and (from.is_secure or not is_secure) then
      local path = attributes.path or ""
      if path:sub(1, 1) ~= "/" then path = default_path(from.path) end
      local expires = expiry(attributes, now)
      remove(list, name, domain, path)
      if not expires or expires > now then
        list[#list + 1] = { name = name, value = value, domain = domain, path = path,
          is_host_only = is_host_only, is_secure = is_secure, expires = expires }
      end
    end
  end
end

local function is_for(cookie, to, now)
  if cookie.expires and cookie.expires <= now then return false end
  if cookie.is_secure and not to.is_secure then return false end
  if cookie.domain == nil then return is_on_path(to.path, cookie.path) end -- set by the spec
  local is_for_host = cookie.is_host_only and to.host == cookie.domain
    or not cookie.is_host_only and is_below(to.host, cookie.domain)
  return is_for_host and is_on_path(to.path, cookie.path)
end

--- The Cookie field for a request; nil: there is nothing to send.
---@param jar table
---@param to table host, path, is_secure
---@param now number
---@return string|nil
function cookies.header(jar, to, now)
  local chosen = {}
  for at, cookie in ipairs(getmetatable(jar).list) do
    if is_for(cookie, to, now) then chosen[#chosen + 1] = { cookie = cookie, at = at } end
  end
  table.sort(chosen, function(a, b)
    if #a.cookie.path ~= #b.cookie.path then return #a.cookie.path > #b.cookie.path end
    return a.at < b.at
  end)
  local parts = {}
  for i, entry in ipairs(chosen) do parts[i] = entry.cookie.name .. "=" .. entry.cookie.value end
  return #parts > 0 and table.concat(parts, "; ") or nil
end

local function find(list, now, name)
  for i = #list, 1, -1 do
    local cookie = list[i]
    local is_alive = not cookie.expires or cookie.expires > now()
    if cookie.name == name and is_alive then return cookie.value end
  end
end

local function set(list, name, value)
  for i = #list, 1, -1 do
    if list[i].name == name then table.remove(list, i) end
  end
  if value ~= nil then list[#list + 1] = { name = name, value = tostring(value), path = "/" } end
end

local function iterate(list, now)
  local names, at = {}, 0
  for _, cookie in ipairs(list) do
    local value = find(list, now, cookie.name)
    if value and not names[cookie.name] then
      names[cookie.name] = true
      names[#names + 1] = { cookie.name, value }
    end
  end
  return function()
    at = at + 1
    if names[at] then return table.unpack(names[at]) end
  end
end

--- An empty jar.
---@param now function gives seconds on the clock that expiry goes by
---@return table values by name
function cookies.new(now)
  local list = {}
  return setmetatable({}, {
    list = list,
    __index = function(_, name) return find(list, now, name) end,
    __newindex = function(_, name, value) set(list, name, value) end,
    __pairs = function() return iterate(list, now) end,
  })
end

return cookies
