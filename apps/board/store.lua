-- store.lua - the messages of the board: in memory, numbered from 1, the oldest dropped.
--
-- It belongs to one Lua state; routes that use it run on the event loop. Knows nothing of HTTP.

local store = {}

local KEPT = 10000

local messages, first, last = {}, 1, 0
local dropped = {}

--- Adds a message and numbers it.
---@param message table { author=, text=, photo= }
---@return table message with its id
function store.add(message)
  last = last + 1
  message.id = last
  messages[last] = message
  if last - first >= KEPT then
    dropped[#dropped + 1] = messages[first]
    messages[first] = nil
    first = first + 1
  end
  return message
end

---@return table|nil message
function store.get(id)
  return messages[id]
end

function store.remove(id)
  messages[id] = nil
end

--- The messages that were dropped since this was last asked.
---@return table[]
function store.take_dropped()
  local list = dropped
  dropped = {}
  return list
end

--- The number of the latest message, 0 when there was none.
function store.last()
  return last
end

--- Goes through the messages after a number, oldest first; also through those added meanwhile.
---@param after integer
---@usage for message in store.each(0) do ... end
function store.each(after)
  local id = math.max(after, first - 1)
  return function()
    while id < last do
      id = math.max(id + 1, first)
      if messages[id] then return messages[id] end
    end
  end
end

return store
