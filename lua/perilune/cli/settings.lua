-- settings.lua - the settings of a run: which value counts, and the options of `serve`.
--
-- A flag comes before the environment (PERILUNE_MAX_BODY), that before conf.lua, that before the
-- default, which the C side knows. The table of settings itself lives in src/base/settings.h;
-- names, defaults and help texts come from there. An empty variable counts as not set.

local native = require "perilune.native.server"
local fail = require "perilune.cli.fail"
local read_conf = require "perilune.cli.conf"

local ENVIRONMENT = "PERILUNE_"
local APP_ENVIRONMENT = "PERILUNE_SETTINGS_"

local placeholders = {
  integer = "N",
  count = "N|auto",
  seconds = "SECONDS",
  bytes = "BYTES",
  ["seconds or off"] = "SECONDS|off",
  ["bytes or off"] = "BYTES|off",
}

--- Kinds whose defaults are shown without a unit.
local bare = { text = true, mode = true }

local truths = { ["true"] = true, ["1"] = true, ["false"] = false, ["0"] = false }

local settings = {}

local function variable(name)
  return (name:upper():gsub("[^%w]", "_"))
end

local function flag_key(name)
  return (name:gsub("-", "_"))
end

local function placeholder(setting)
  if setting.kind == "choice" then return setting.unit end
  return placeholders[setting.kind] or setting.unit:upper()
end

local function default_words(setting)
  local default = setting.default
  if default == "" then return "none" end
  if not bare[setting.kind] and default:find("^%d") and setting.unit ~= "" then
    return default .. " " .. setting.unit
  end
  return default
end

local function add_option(command, setting)
  local name = setting.name
  local origin = ("[default %s] %s"):format(default_words(setting), ENVIRONMENT .. variable(name))
  command
    :option("--" .. name)
    :target(flag_key(name))
    :argname(placeholder(setting))
    :description(setting.help .. " " .. origin)
end

--- Adds every setting to an argparse command, as an option that is nil when it is not given.
---@param command table
---@param without table|nil names of settings that are left out
function settings.add_options(command, without)
  for _, setting in ipairs(native.settings()) do
    if not (without and without[setting.name]) then add_option(command, setting) end
  end
end

--- A variable's text in the type that conf.lua gave the setting.
local function convert(name, text, current)
  if type(current) == "number" then
    local number = tonumber(text)
    if not number then fail("failed", "%s: %q is not a number", name, text) end
    return number
  elseif type(current) == "boolean" then
    local truth = truths[text:lower()]
    if truth == nil then fail("failed", "%s: %q is not true or false", name, text) end
    return truth
  elseif type(current) == "table" then
    fail("failed", "%s: this setting is a table in conf.lua; a variable cannot replace it", name)
  end
  return text
end

--- The app's settings with the environment over them.
local function app_settings_of(conf_settings, environment)
  local merged, key_of = {}, {}
  for key, value in pairs(conf_settings) do
    merged[key] = value
    if type(key) == "string" then key_of[APP_ENVIRONMENT .. variable(key)] = key end
  end
  for name, text in pairs(environment) do
    local rest = name:match("^" .. APP_ENVIRONMENT .. "(.+)$")
    if rest then
      local key = key_of[name] or rest:lower()
      merged[key] = convert(name, text, conf_settings[key])
    end
  end
  return merged
end

--- The log is read by a person, unless its form was chosen.
---@param texts table<string, string> as of settings.collect
function settings.prefer_text(texts)
  texts["log-format"] = texts["log-format"] or "text"
end

local function check(name, text, code, origin)
  local problem = native.check(name, text)
  if problem then fail(code, "%s%s", origin, problem:sub(#name + 3)) end
  return text
end

--- What to hand to the server: settings that are not at their default, by name, as text; and the
--- app's settings.
---@param dir string the app's directory as the user named it
---@param flags table<string, string> by name with underscores; other keys do not matter
---@return table<string, string> texts
---@return table app_settings
function settings.collect(dir, flags)
  local texts, conf_settings = read_conf(dir)
  local environment = native.environment()
  for _, setting in ipairs(native.settings()) do
    local name = setting.name
    local flag = flags[flag_key(name)]
    local from_environment = environment[ENVIRONMENT .. variable(name)]
    if flag then
      texts[name] = check(name, flag, "usage", "--" .. name)
    elseif from_environment and from_environment ~= "" then
      texts[name] = check(name, from_environment, "failed", ENVIRONMENT .. variable(name))
    end
  end
  return texts, app_settings_of(conf_settings, environment)
end

return settings
