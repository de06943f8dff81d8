-- transfer - bodies of any size in both directions, for spec/clients/transfer.
--
-- What is sent either way is one line over and over, so that each byte's place can be checked
-- without holding the body.

local perilune = require "perilune"

local app = perilune.app { name = "transfer" }

local LINE = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWX\n"
local PIECE = LINE:rep(1024)

--- Whether a piece is what belongs at this offset.
local function is_right(piece, offset)
  local from = offset % #LINE + 1
  local expected = #piece + #LINE <= #PIECE and PIECE or LINE:rep(#piece // #LINE + 2)
  return piece == expected:sub(from, from + #piece - 1)
end

local function count(req)
  local total = 0
  for piece in req:chunks() do
    if not is_right(piece, total) then perilune.abort(422, { offset = total }) end
    total = total + #piece
  end
  return { bytes = total }
end

local function send(req)
  local left = req.params.bytes
  return perilune.stream(function(write)
    while left > 0 do
      write(left >= #PIECE and PIECE or PIECE:sub(1, left))
      left = left - #PIECE
    end
  end)
end

--- A form with a file, which is kept as `saved` of the directory in the settings.
local function save(req)
  local file = req:file "file"
  file:save(app.settings.scratch .. "/saved")
  return { bytes = file.size }
end

local large = { stream_body = true, max_body = "8g" }

app:put("/count", large, count)
app:put("/blocking/count", large, perilune.blocking(count))
app:post("/form", large, save)
app:post("/blocking/form", large, perilune.blocking(save))
app:get("/stream/{bytes:int}", send)
app:get("/blocking/stream/{bytes:int}", perilune.blocking(send))
app:get("/file", function() return perilune.file(app.settings.scratch .. "/sparse") end)

return app
