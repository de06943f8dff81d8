-- app.lua - responses of all sizes and types for compression_spec.lua.
--
-- /text/{size} is text that compresses well; each answer names its own bytes by their sum, so that
-- what arrives can be compared.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "compression" }

local function text(size)
  local line = "a line of text that comes again and again\n"
  return (line:rep(size // #line + 1)):sub(1, size)
end

app:get("/text/{size:int}", function(req) return text(req.params.size) end)
app:get("/blocking/{size:int}", perilune.blocking(function(req) return text(req.params.size) end))

app:get("/type", function(req)
  return 200, text(5000), { ["Content-Type"] = req.query.type }
end)

app:get("/status/{status:int}", function(req)
  return req.params.status, text(5000)
end)

app:get("/with", function(req)
  return 200, text(5000), { [req.query.name] = req.query.value, ["Content-Type"] = "text/plain" }
end)

app:get("/json", function()
  local rows = {}
  for i = 1, 2000 do rows[i] = { id = i, name = "user " .. i } end
  return rows
end)

app:get("/abort", function() perilune.abort(422, text(3000)) end)
app:get("/html", function() return perilune.html(text(3000)) end)

--- Not compressible: what comes out is larger than what went in.
app:get("/noise/{size:int}", function(req)
  local bytes, seed = {}, 1
  for i = 1, req.params.size do
    seed = (seed * 1664525 + 1013904223) & 0xFFFFFFFF
    bytes[i] = string.char(seed >> 24)
  end
  return table.concat(bytes)
end)

local CSV = { ["Content-Type"] = "text/csv" }

local function write_rows(write)
  for i = 1, 200 do write(("%d,a row of a table\n"):format(i)) end
  write(text(400000))
  write ""
  write "the end"
end

app:get("/stream", function() return perilune.stream({ headers = CSV }, write_rows) end)
app:get("/blocking/stream", perilune.blocking(function()
  return perilune.stream({ headers = { ["Content-Type"] = "text/csv" } }, function(write)
    for i = 1, 50 do write(("%d,a row of a table\n"):format(i)) end
  end)
end))
app:get("/stream/empty", function()
  return perilune.stream({ headers = CSV }, function() end)
end)
app:get("/stream/breaks", function()
  return perilune.stream({ headers = CSV }, function(write)
    write "one,"
    error "boom"
  end)
end)
app:get("/sse", function() return perilune.sse(function(send) send { data = text(3000) } end) end)

local turns = 0
app:get("/stream/zeros", function()
  return perilune.stream({ headers = CSV }, function(write)
    local others = async.spawn(function()
      while true do
        turns = turns + 1
        async.checkpoint()
      end
    end)
    for _ = 1, 100 do write(("0"):rep(64 * 1024)) end
    others:cancel()
  end)
end)
app:get("/turns", function() return { turns = turns } end)

local may_go_on = false
app:get("/stream/held", function()
  return perilune.stream({ headers = CSV }, function(write)
    write "first,"
    while not may_go_on do async.sleep(0.005) end
    write "second"
  end)
end)
app:get("/go_on", function()
  may_go_on = true
  return 204
end)

return app
