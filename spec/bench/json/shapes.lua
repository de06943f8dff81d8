-- shapes.lua - the texts that the JSON programs are measured with, always the same.
--
--   lua5.4 spec/bench/json/shapes.lua NAME
--
-- Prints one: `small` (an object as a handler answers it), `records` (1 MB of them, with floats,
-- text beyond ASCII, escapes, null and nested lists), `deep` (arrays and objects in each other).

local DEEP_LEVELS = 400
local RECORDS_BYTES = 1000000

local shapes = {}

function shapes.small()
  return '{"id":8412,"name":"Ann Example","email":"ann@example.org","active":true,"score":97.25,'
    .. '"tags":["admin","staff"],"created":"2026-11-21T01:15:09Z"}'
end

local NAMES = { "Ann", "J\u{F6}rg", "\u{5C0F}\u{660E}", "Bob \\\"B\\\"", "Zo\u{EB}" }

local function record(i)
  local name = NAMES[i % #NAMES + 1]
  return ('{"id":%d,"guid":"%08x-%04x","name":"%s","balance":%.2f,"latitude":%.6f,"active":%s,'
    .. '"about":"Line one of %d.\\nLine two is longer, as texts of people are.","manager":null,'
    .. '"tags":["t%d","t%d","t%d"],"friends":[{"id":%d,"name":"%s"},{"id":%d,"name":"Eve"}]}')
    :format(i * 7919, i * 2654435761 % 4294967296, i % 65536, name, i * 13.37 % 5000,
      i * 0.618033 % 180 - 90, i % 3 == 0 and "true" or "false", i, i % 10, i % 7, i % 5, i + 1,
      name, i + 2)
end

function shapes.records()
  local parts, bytes = {}, 0
  while bytes < RECORDS_BYTES do
    parts[#parts + 1] = record(#parts + 1)
    bytes = bytes + #parts[#parts] + 1
  end
  return "[" .. table.concat(parts, ",") .. "]"
end

function shapes.deep()
  local open, close = ('{"level":[1,'):rep(DEEP_LEVELS), ('],"end":true}'):rep(DEEP_LEVELS)
  return open .. '"bottom"' .. close
end

io.write(shapes[arg[1]]())
