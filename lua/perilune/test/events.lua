-- test/events.lua - `client:events(path)`: an event stream as an iterator.
--
-- Lines and fields as the HTML standard has them ("Interpreting an event stream"): comments are
-- left out, data of several lines is joined, an event without data is none.

local events = {}

--- Lines of a response, without their ends, however it comes in chunks.
local function lines_of(res)
  local chunks, state, control = res:chunks()
  local rest, has_ended, is_first = "", false, true
  local function take()
    local line, behind = rest:match "^([^\r\n]*)\r?\n()"
    if not line then line, behind = rest:match "^([^\r\n]*)\r()[^\n]" end
    if not line then return nil end
    rest = rest:sub(behind)
    return line
  end
  return function()
    local line = take()
    while not line and not has_ended do
      control = chunks(state, control)
      has_ended = control == nil
      rest = rest .. (control or "")
      if is_first then rest = rest:gsub("^\u{FEFF}", "") end
      is_first = false
      line = take()
    end
    return line
  end
end

--- The next event: event (default "message"), data, id, retry; nil at the end.
local function read_event(next_line, state)
  local event, data, retry
  for line in next_line do
    if line == "" then
      if data then
        return { event = event or "message", data = table.concat(data, "\n"), id = state.id,
          retry = retry }
      end
      event, retry = nil, nil
    elseif line:sub(1, 1) ~= ":" then
      local field, value = line:match "^([^:]*):? ?(.*)$"
      if field == "data" then
        data = data or {}
        data[#data + 1] = value
      elseif field == "event" then
        event = value
      elseif field == "id" then
        state.id = value
      elseif field == "retry" and value:find "^%d+$" then
        retry = tonumber(value)
      end
    end
  end
end

--- An iterator over the events of a response that is a stream; leaving the loop closes it.
---@param res table
---@return function next
---@return nil
---@return nil
---@return table res closed at the end of the loop
function events.iterate(res)
  local next_line, state = lines_of(res), {}
  return function() return read_event(next_line, state) end, nil, nil, res
end

return events
