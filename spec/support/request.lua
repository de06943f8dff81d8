-- request.lua - the bytes of requests for specs that send them raw.
--
-- `fields` are whole header lines with their CRLF. What is written is what is asked for: a length
-- that is wrong or a second Host is the caller's business. Host is always "h".

local request = {}

request.HOST = "Host: h\r\n"
request.CHUNKED = "Transfer-Encoding: chunked\r\n"

---@param fields? string
---@param target? string
function request.get(fields, target)
  return ("GET %s HTTP/1.1\r\n%s%s\r\n"):format(target or "/", request.HOST, fields or "")
end

--- POST /echo with these fields and nothing added.
function request.post(fields, body)
  return ("POST /echo HTTP/1.1\r\n%s%s\r\n%s"):format(request.HOST, fields or "", body or "")
end

--- POST /echo with the length of its body.
function request.sized(body, fields)
  return request.post(("Content-Length: %d\r\n%s"):format(#body, fields or ""), body)
end

--- POST /echo in chunks, which are written as they are given.
function request.chunked(chunks, fields)
  return request.post(request.CHUNKED .. (fields or ""), chunks)
end

return request
