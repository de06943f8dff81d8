-- wanted.lua - what a body must be like to be an order, or a note of one.
--
-- All that is wrong with it is said at once, by field.

local perilune = require "perilune"

local wanted = {}

local function is_text(value, most)
  return type(value) == "string" and value ~= "" and #value <= most
end

local checks = {
  item = { "a name of 1 to 50 bytes", function(item) return is_text(item, 50) end },
  quantity = { "a whole number from 1 to 100", function(quantity)
    return math.type(quantity) == "integer" and quantity >= 1 and quantity <= 100
  end },
  email = { "an address of mail", function(email)
    return is_text(email, 200) and email:find "^[^@%s]+@[^@%s]+$"
  end },
  note = { "a text of at most 200 bytes", function(note)
    return note == nil or is_text(note, 200)
  end },
}

local function check(body, fields)
  if type(body) ~= "table" then perilune.abort(422, "an object is needed") end
  local wrong = {}
  for _, field in ipairs(fields) do
    local words, is_right = table.unpack(checks[field])
    if not is_right(body[field]) then wrong[field] = words end
  end
  if next(wrong) then perilune.abort(422, wrong) end
end

function wanted.order(body)
  check(body, { "item", "quantity", "email", "note" })
  return body
end

--- A note, nil where it is to be removed.
function wanted.note(body)
  check(body, { "note" })
  return body.note
end

return wanted
