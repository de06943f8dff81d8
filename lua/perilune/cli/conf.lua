-- conf.lua - reads the conf.lua of an app's directory.
--
-- It is an ordinary Lua program (text only, with the standard libraries) that returns a table:
-- settings of the process by their flags' names with underscores, and `settings`, the app's own.
-- Every key and value is checked here, whether or not a flag or the environment overrides it.

local lfs = require "lfs"
local native = require "perilune.native.server"
local fail = require "perilune.cli.fail"

local APP_SETTINGS = "settings"

--- An error of conf.lua; most name file and line themselves.
local function fail_at(path, problem)
  local message = tostring(problem)
  if not message:find(path, 1, true) then message = path .. ": " .. message end
  fail("failed", "%s", message)
end

--- `path` is the file as the user would name it, for messages.
local function evaluate(path)
  local chunk, problem = loadfile(path, "t")
  if not chunk then fail_at(path, problem) end
  local ok, result = pcall(chunk)
  if not ok then fail_at(path, result) end
  if type(result) ~= "table" then
    fail("failed", "%s returns %s instead of a table of settings", path, type(result))
  end
  return result
end

--- The text that a user would have typed for a value, or nil and what is wrong with it.
local function as_text(value)
  if math.type(value) == "float" then
    local integer = math.tointeger(value)
    if integer then return tostring(integer) end
    return (("%.6f"):format(value):gsub("0+$", ""))
  end
  if type(value) == "number" then return tostring(value) end
  if type(value) ~= "string" then return nil, "is a " .. type(value) .. ", not a number or text" end
  if value:find("\0", 1, true) then return nil, "contains a NUL byte" end
  return value
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys, function(a, b) return tostring(a) < tostring(b) end)
  return keys
end

local function name_of_key(key)
  return (key:gsub("_", "-"))
end

local function key_of_name(name)
  return (name:gsub("-", "_"))
end

local function fail_unknown(path, key, value)
  if type(key) ~= "string" then
    fail("failed", "%s: %s is not the name of a setting", path, tostring(key))
  end
  local nearest = key_of_name(native.nearest(name_of_key(key)))
  if type(value) == "table" then nearest = APP_SETTINGS end -- the only key that takes one
  fail("failed", "%s: unknown setting %q; the nearest is %s", path, key, nearest)
end

--- One value of conf.lua, checked, as text.
local function setting_text(path, key, name, value)
  local text, problem = as_text(value)
  if not text then fail("failed", "%s: %s %s", path, key, problem) end
  problem = native.check(name, text)
  if problem then fail("failed", "%s: %s%s", path, key, problem:sub(#name + 3)) end
  return text
end

local function known_names()
  local names = {}
  for _, setting in ipairs(native.settings()) do names[key_of_name(setting.name)] = setting.name end
  return names
end

--- Settings by name (with dashes) as text, and the app's settings; both empty without a conf.lua.
---@param dir string the app's directory as the user named it
---@return table<string, string> texts
---@return table app_settings
local function read(dir)
  local path = dir:gsub("/+$", "") .. "/conf.lua"
  if not lfs.attributes(path) then return {}, {} end
  local conf = evaluate(path)
  local app_settings = conf[APP_SETTINGS]
  if app_settings ~= nil and type(app_settings) ~= "table" then
    fail("failed", "%s: settings is a %s, not a table", path, type(app_settings))
  end
  conf[APP_SETTINGS] = nil
  local names, texts = known_names(), {}
  for _, key in ipairs(sorted_keys(conf)) do
    local name = names[key]
    if not name then fail_unknown(path, key, conf[key]) end
    texts[name] = setting_text(path, key, name, conf[key])
  end
  return texts, app_settings or {}
end

return read
