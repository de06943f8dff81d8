-- bulk.lua - all messages at once: written as CSV, imported as lines of JSON.
--
-- Both of any length, without holding more than a piece.

local json = require "perilune.json"
local perilune = require "perilune"
local read_lines = require "lines"
local store = require "store"
local validate = require "validate"

local csv_headers = {
  ["Content-Type"] = "text/csv; charset=utf-8",
  ["Content-Disposition"] = 'attachment; filename="messages.csv"',
}

local function csv_field(value)
  return '"' .. tostring(value):gsub('"', '""') .. '"'
end

---@param session table session.lua's
---@return table router
return function(session)
  local router = perilune.router()

  router:get("/messages.csv", function()
    return perilune.stream({ headers = csv_headers }, function(write)
      write "id,author,text\r\n"
      for message in store.each(0) do
        local author, text = csv_field(message.author), csv_field(message.text)
        write(("%d,%s,%s\r\n"):format(message.id, author, text))
      end
    end)
  end)

  local import_options = {
    stream_body = true, max_body = "1g", middleware = { session.required },
  }

  router:post("/import", import_options, function(req)
    local count = 0
    for line in read_lines(req) do -- each is added as it comes
      store.add(validate.message(json.decode(line)))
      count = count + 1
    end
    return { imported = count }
  end)

  return router
end
