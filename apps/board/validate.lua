-- validate.lua - what clients may send: each function gives the checked value, or answers 422.
--
-- Texts are UTF-8, so that they can be sent on as JSON.

local perilune = require "perilune"

local validate = {}

local AUTHOR_PATTERN = "^[%w_-]+$"
local AUTHOR_BYTES_MAX = 20
local TEXT_BYTES_MAX = 2000

function validate.integer(value, name)
  local number = math.tointeger(tonumber(value))
  if not number or number < 0 then perilune.abort(422, name .. " is a whole number from 0") end
  return number
end

function validate.author(name)
  if type(name) == "string" and #name <= AUTHOR_BYTES_MAX and name:find(AUTHOR_PATTERN) then
    return name
  end
  perilune.abort(422, "a name is up to 20 letters, digits, _ and -")
end

function validate.text(text)
  if type(text) == "string" and text ~= "" and #text <= TEXT_BYTES_MAX and utf8.len(text) then
    return text
  end
  perilune.abort(422, "a text is UTF-8, 1 to 2000 bytes")
end

function validate.object(value)
  if type(value) == "table" then return value end
  perilune.abort(422, "a message is an object")
end

--- A message as it is imported.
function validate.message(value)
  value = validate.object(value)
  return { author = validate.author(value.author), text = validate.text(value.text) }
end

return validate
