-- stream.lua - perilune.stream and perilune.sse: responses that a function writes.
--
-- Both are response objects with the function as their field `stream`; it runs once the head of
-- the response has been sent (src/lib/stream.c), and nowhere else than in the state that made it.
-- `keep_alive` marks an event stream: seconds between the comments that keep it open, or false for
-- none.

local check = require "perilune.check"
local json = require "perilune.json"
local native = require "perilune.native.app"
local response = require "perilune.response"

local stream = {}

local KEEP_ALIVE_SECONDS = 15
local stream_options = { "status", "headers" }
local event_options = { "headers", "keep_alive" }
local event_fields = { "data", "event", "id", "retry", "comment" }

local function check_arguments(what, options, fn, known)
  if fn == nil and type(options) == "function" then options, fn = {}, options end
  check.type(what, 1, options, "table", "a table of options")
  check.type(what, 2, fn, "function", "a function")
  check.options(options, known)
  return options, fn
end

--- A response whose body is written by a function; `write` waits while the client is slow.
---@param options table|function { status=200, headers= }, may be left out
---@param fn function|nil fn(write)
---@usage return perilune.stream(function(write) for row in rows do write(row) end end)
function stream.new(options, fn)
  options, fn = check_arguments("perilune.stream", options, fn, stream_options)
  local result = response.new { status = options.status, headers = options.headers }
  result.stream = native.keep(fn)
  return result
end

--- A field of one line: a line break in it would start another field (or event).
local function line(name, value)
  if type(value) ~= "string" and type(value) ~= "number" then
    check.fail("%s of an event is a string, not a %s", name, type(value))
  end
  local text = tostring(value)
  if text:find("[\r\n%z]") then check.fail("%s of an event may not contain a line break", name) end
  return ("%s: %s\n"):format(name, text)
end

local function lines(prefix, text)
  local parts = {}
  for part in (text:gsub("\r\n?", "\n") .. "\n"):gmatch("(.-)\n") do
    parts[#parts + 1] = prefix .. part .. "\n"
  end
  return table.concat(parts)
end

local function data_text(data)
  if type(data) == "table" then return json.encode(data) end
  if type(data) == "string" or type(data) == "number" then return tostring(data) end
  check.fail("data of an event is a string or a table, not a %s", type(data))
end

--- One event as the bytes that are sent.
local function format(event)
  if type(event) == "string" then event = { data = event } end
  if type(event) ~= "table" then
    check.fail("send takes { data=, event=, id=, retry= } or a string, not a %s", type(event))
  end
  check.options(event, event_fields)
  if next(event) == nil then check.fail("send takes an event with at least one field") end
  local text = ""
  if event.comment ~= nil then text = lines(": ", tostring(event.comment)) end
  if event.event ~= nil then text = text .. line("event", event.event) end
  if event.id ~= nil then text = text .. line("id", event.id) end
  if event.retry ~= nil then
    if math.type(event.retry) ~= "integer" or event.retry < 0 then
      check.fail("retry of an event is a whole number of milliseconds, not %s",
        check.show(event.retry))
    end
    text = text .. line("retry", event.retry)
  end
  if event.data ~= nil then text = text .. lines("data: ", data_text(event.data)) end
  return text .. "\n"
end

local function check_keep_alive(seconds)
  if seconds == nil then return KEEP_ALIVE_SECONDS end
  if seconds == false then return false end
  if type(seconds) ~= "number" or seconds <= 0 or seconds == math.huge or seconds ~= seconds then
    check.fail("keep_alive is a number of seconds above 0, or false, not %s", check.show(seconds))
  end
  return seconds
end

--- A stream of Server-Sent Events (HTML Living Standard, 9.2); it ends when the client leaves.
---@param options table|function { headers=, keep_alive=15 }, may be left out
---@param fn function|nil fn(send)
---@usage return perilune.sse(function(send) send { event = "tick", data = { n = 1 } } end)
function stream.events(options, fn)
  options, fn = check_arguments("perilune.sse", options, fn, event_options)
  local result = response.new { headers = options.headers }
  result:header("Content-Type", "text/event-stream")
  local has_cache_control = false
  for name in pairs(result.headers) do
    has_cache_control = has_cache_control or name:lower() == "cache-control"
  end
  if not has_cache_control then result:header("Cache-Control", "no-cache") end
  result:header("X-Accel-Buffering", "no")
  result.keep_alive = check_keep_alive(options.keep_alive)
  result.stream = native.keep(function(write)
    return fn(function(event) write(format(event)) end)
  end)
  return result
end

return stream
