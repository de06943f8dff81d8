-- check_main.lua - what `perilune check` finds out about an app that has loaded.
--
-- What runs on an event loop is known from the routes, middleware and hooks as the app made them;
-- what those call by name is followed through their upvalues, in the tokens of their text
-- (scan.lua). Only what is certain is told: a call that is not followed is none.

local app_module = require "perilune.app"
local develop = require "perilune.native.develop"
local native = require "perilune.native.service"
local native_app = require "perilune.native.app"
local scan = require "perilune.cli.scan"

local Check = {}
Check.__index = Check

function Check:tell(place, message, ...)
  local line = ("%s: %s"):format(place, message:format(...))
  if self.told[line] then return end
  self.told[line] = true
  self.lines[#self.lines + 1] = line
end

-- --- routes -------------------------------------------------------------------------------------

--- Two patterns that mean the same have the same key: names of parameters do not matter.
local function pattern_key(route)
  return route.method .. " " .. route.pattern:gsub("{[%a_][%w_]*(:?%w*)}", "{%1}")
end

function Check:find_conflicts(routes)
  local first = {}
  for _, route in ipairs(routes) do
    local key = pattern_key(route)
    local other = first[key]
    if other then
      self:tell(route.line, "%s %s is there already, at %s", route.method, route.pattern,
        other.line)
    end
    first[key] = other or route
  end
  return #self.lines > 0
end

-- --- what runs on event loops -------------------------------------------------------------------

--- The functions that a recorder (an app, a router, a group) has for its requests.
local function add_functions(list, recorder, seen)
  if seen[recorder] then return end
  seen[recorder] = true
  local function add(fn) list[#list + 1] = fn end
  for _, fn in ipairs(recorder.middleware) do add(fn) end
  for _, rescuer in pairs(recorder.rescuers.by_kind) do add(rescuer.fn) end
  if recorder.rescuers.any then add(recorder.rescuers.any.fn) end
  for _, part in ipairs(recorder.parts) do
    if part.handler then add(part.handler) end
    for _, fn in ipairs(part.options and part.options.middleware or {}) do add(fn) end
    if part.recorder then add_functions(list, part.recorder, seen) end
  end
end

local function functions_of(app)
  local list = {}
  add_functions(list, app, {})
  for _, handler in pairs(app.status_handlers) do list[#list + 1] = handler.fn end
  for _, hook in ipairs(app.all_hooks) do
    if hook.name == "every" then list[#list + 1] = hook.fn end
  end
  return list
end

--- What was found in the file that a function is written in, and the function there; nil when it is
--- none of the app's, or another one is on its lines.
function Check:find_record(fn)
  local info = debug.getinfo(fn, "S")
  local path = info.source:match "^@(.*)$"
  if not path then return nil end
  if self.files[path] == nil then
    local text = develop.source(path)
    self.files[path] = text and scan(text) or false
  end
  local found
  for _, record in ipairs(self.files[path] or {}) do
    if record.first == info.linedefined and record.last == info.lastlinedefined then
      if found then return nil end
      found = record
    end
  end
  return found, path
end

local function upvalues_of(fn)
  local values = {}
  for i = 1, 255 do
    local name, value = debug.getupvalue(fn, i)
    if not name then return values end
    values[name] = value
  end
  return values
end

--- What a dotted name is, seen from a function with these upvalues; nil when nobody can tell.
local function resolve(values, name)
  local first, rest = name:match "^([%w_]+)(.*)$"
  local value = values[first]
  if value == nil and values._ENV == _G then value = rawget(_G, first) end
  for key in rest:gmatch "[.:]([%w_]+)" do
    if type(value) ~= "table" then return nil end
    value = rawget(value, key)
  end
  return value
end

local function is_plain_function(value)
  return type(value) == "function" and not native_app.marked(value)
    and debug.getinfo(value, "S").what == "Lua"
end

--- What a function that is sent to the pool takes along and cannot.
function Check:look_at_offloaded(record, path, values)
  for name in pairs(record.names) do
    local ok, err = pcall(develop.send, values[name], name)
    if values[name] ~= nil and not ok and name ~= "_ENV" then
      self:tell(("%s:%d"):format(path, record.first), "this function cannot be sent to the thread"
        .. " pool: upvalue %s; make it inside the function", tostring(err.message or err))
    end
  end
end

--- Looks at a function of the text and at those in it that run where it does.
function Check:look_at_record(record, path, values)
  for _, call in ipairs(record.calls) do
    if call.blocks then
      self:tell(("%s:%d"):format(path, call.line), "%s holds the event loop: call it in a function"
        .. " marked with perilune.blocking", call.name:gsub(":", "."))
    end
    local value = resolve(values, call.name)
    if is_plain_function(value) then self:look_at(value) end
  end
  for _, offload in ipairs(record.offloads) do
    local value = values[offload.name]
    local ok, err = pcall(develop.send, value, offload.name)
    if value ~= nil and not ok then
      self:tell(("%s:%d"):format(path, offload.line), "%s; make it inside the function",
        tostring(err.message or err))
    end
  end
  for _, inner in ipairs(record.inner) do
    if inner.is_elsewhere then
      self:look_at_offloaded(inner, path, values)
    elseif inner.is_argument then
      self:look_at_record(inner, path, values)
    end
  end
end

function Check:look_at(fn)
  if self.seen[fn] then return end
  self.seen[fn] = true
  local record, path = self:find_record(fn)
  if record then self:look_at_record(record, path, upvalues_of(fn)) end
end

-- ------------------------------------------------------------------------------------------------

--- By file, then by line.
local function is_before(a, b)
  local a_path, a_line = a:match "^(.-):(%d+): "
  local b_path, b_line = b:match "^(.-):(%d+): "
  if a_path ~= b_path then return a_path < b_path end
  return tonumber(a_line) < tonumber(b_line)
end

---@param arguments table dir, found (problems that have been told already), remark (or nil)
---@return integer exit_code
local function main(arguments)
  local self = setmetatable({ lines = {}, told = {}, seen = {}, files = {} }, Check)
  local service <close> = native.open(arguments.dir)
  local app = app_module.load_directory()
  if not self:find_conflicts(app.routes) then service:check(app) end
  for _, fn in ipairs(functions_of(app)) do
    if is_plain_function(fn) then self:look_at(fn) end
  end
  table.sort(self.lines, is_before)
  for _, line in ipairs(self.lines) do io.write(line, "\n") end
  local count = #self.lines + arguments.found
  local summary = count == 0 and "nothing found" or ("%d problem%s"):format(count,
    count == 1 and "" or "s")
  io.write(summary, arguments.remark and (" (%s)"):format(arguments.remark) or "", "\n")
  return count == 0 and 0 or 1
end

return main
