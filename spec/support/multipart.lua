-- multipart.lua - forms as clients write them.
--
-- multipart.encode(parts, [boundary]) gives a body and its Content-Type. A part is { name, body },
-- with `filename` and `type` when it is a file, or `head`: its header lines as they are to be sent.

local multipart = {}

local BOUNDARY = "----WebKitFormBoundary7MA4YWxkTrZu0gW"

local function head_of(part)
  if part.head then return part.head end
  local lines = { ('Content-Disposition: form-data; name="%s"'):format(part[1]) }
  if part.filename then lines[1] = ('%s; filename="%s"'):format(lines[1], part.filename) end
  if part.type then lines[2] = "Content-Type: " .. part.type end
  return table.concat(lines, "\r\n") .. "\r\n"
end

---@param parts table[]
---@param boundary? string
function multipart.encode(parts, boundary)
  boundary = boundary or BOUNDARY
  local out = {}
  for i, part in ipairs(parts) do
    out[i] = ("--%s\r\n%s\r\n%s\r\n"):format(boundary, head_of(part), part[2])
  end
  out[#out + 1] = ("--%s--\r\n"):format(boundary)
  return table.concat(out), "multipart/form-data; boundary=" .. boundary
end

--- Options of an HTTP client's call that sends the form.
function multipart.options(parts, boundary)
  local body, content_type = multipart.encode(parts, boundary)
  return { body = body, headers = { ["Content-Type"] = content_type } }
end

return multipart
