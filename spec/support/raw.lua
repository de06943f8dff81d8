-- raw.lua - HTTP byte by byte: a client that sends what it is told and reads strictly.
--
-- raw.connect(port or path) gives a connection over luasocket. What it reads must be HTTP as RFC
-- 9112 has it: CRLF line ends, one framing, whole chunks; anything else is an error that says so,
-- and every wait has a limit in seconds. Knows nothing of keep-alive: the caller decides what comes
-- next.

local socket = require "socket"
local unix = require "socket.unix"

local raw = {}

local LIMIT_S = 10
local READ_BYTES = 65536

local connection = {}
connection.__index = connection
connection.__name = "raw.connection"

local function open_socket(to, host)
  if type(to) == "string" then return assert(unix.stream()) end
  return assert(host and host:find(":", 1, true) and socket.tcp6() or socket.tcp4())
end

--- Connects to a port of the loopback, or to the path of a Unix socket; raises when nobody listens.
---@param to integer|string
---@param host? string another address than 127.0.0.1
function raw.connect(to, host)
  local tcp = open_socket(to, host)
  tcp:settimeout(LIMIT_S)
  local is_path = type(to) == "string"
  local ok, problem
  if is_path then
    ok, problem = tcp:connect(to)
  else
    ok, problem = tcp:connect(host or "127.0.0.1", to)
  end
  if not ok then
    tcp:close()
    error(("cannot connect to %s: %s"):format(to, problem), 2)
  end
  if not is_path then tcp:setoption("tcp-nodelay", true) end
  return setmetatable({ tcp = tcp, buffer = "", ended = nil }, connection)
end

--- Sends all bytes; false and why when the server does not take them.
function connection:try_send(bytes)
  local sent = 0
  self.tcp:settimeout(LIMIT_S)
  while sent < #bytes do
    local last, problem = self.tcp:send(bytes, sent + 1)
    if not last then return false, problem end
    sent = last
  end
  return true
end

--- Sends all bytes, or raises.
function connection:send(bytes)
  local ok, problem = self:try_send(bytes)
  if not ok then error("cannot send: " .. problem, 2) end
end

--- Waits for more bytes. False at the end of the input (self.ended says how it ended); raises past
--- the deadline.
local function fill(self, deadline)
  if self.ended then return false end
  self.tcp:settimeout(math.max(0, deadline - socket.gettime()))
  local byte, problem = self.tcp:receive(1)
  if not byte and problem == "timeout" then
    error(("nothing more came in time, only %q"):format(self.buffer), 0)
  end
  if not byte then
    self.ended = problem
    return false
  end
  self.tcp:settimeout(0)
  local rest, why, part = self.tcp:receive(READ_BYTES)
  self.buffer = self.buffer .. byte .. (rest or part or "")
  if why and why ~= "timeout" then self.ended = why end
  return true
end

local function fail_ended(self, wanted)
  error(("the connection ended (%s) inside %s, after %q"):format(self.ended, wanted, self.buffer),
    0)
end

--- Takes a line off the buffer, without its CRLF.
local function take_line(self, deadline, wanted)
  while true do
    local at = self.buffer:find("\n", 1, true)
    if at then
      local line = self.buffer:sub(1, at - 1)
      self.buffer = self.buffer:sub(at + 1)
      if line:sub(-1) ~= "\r" then error(("no CRLF behind %q"):format(line), 0) end
      return line:sub(1, -2)
    end
    if not fill(self, deadline) then fail_ended(self, wanted) end
  end
end

local function take_bytes(self, count, deadline, wanted)
  while #self.buffer < count do
    if not fill(self, deadline) then fail_ended(self, wanted) end
  end
  local bytes = self.buffer:sub(1, count)
  self.buffer = self.buffer:sub(count + 1)
  return bytes
end

local function take_headers(self, deadline, lines)
  local headers = {}
  while true do
    local line = take_line(self, deadline, "the header")
    lines[#lines + 1] = line
    if line == "" then return headers end
    local name, value = line:match "^([%w!#$%%&'*+.^_`|~-]+):[ \t]*(.-)[ \t]*$"
    if not name then error(("not a header field: %q"):format(line), 0) end
    name = name:lower()
    headers[name] = headers[name] and headers[name] .. ", " .. value or value
  end
end

local function take_chunked(self, deadline)
  local chunks = {}
  while true do
    local line = take_line(self, deadline, "the chunked body")
    if not line:find "^%x+$" then error(("not the size of a chunk: %q"):format(line), 0) end
    local size = tonumber(line, 16)
    if size == 0 then break end
    chunks[#chunks + 1] = take_bytes(self, size, deadline, "a chunk")
    if take_bytes(self, 2, deadline, "a chunk") ~= "\r\n" then
      error("no CRLF behind a chunk", 0)
    end
  end
  if take_line(self, deadline, "the trailer") ~= "" then error("a trailer nobody sent", 0) end
  return table.concat(chunks)
end

local function take_rest(self, deadline)
  while fill(self, deadline) do end
  local bytes = self.buffer
  self.buffer = ""
  return bytes
end

local function take_body(self, status, headers, is_head, deadline)
  local length, coding = headers["content-length"], headers["transfer-encoding"]
  if length and coding then error("both Content-Length and Transfer-Encoding", 0) end
  if is_head or status < 200 or status == 204 or status == 304 then return "" end
  if coding then
    if coding ~= "chunked" then error("Transfer-Encoding: " .. coding, 0) end
    return take_chunked(self, deadline)
  elseif length then
    if not length:find "^%d+$" then error("Content-Length: " .. length, 0) end
    return take_bytes(self, tonumber(length), deadline, "the body")
  end
  return take_rest(self, deadline)
end

--- One response: { status, reason, version, headers (by lower-case name), body, raw (its head) }.
---@param limit? number seconds
---@param is_head? boolean whether it answers HEAD, and so has no body
function connection:receive_response(limit, is_head)
  local deadline = socket.gettime() + (limit or LIMIT_S)
  local lines = { take_line(self, deadline, "the status line") }
  local version, status, reason = lines[1]:match "^HTTP/(1%.[01]) (%d%d%d) ([%g ]*)$"
  if not version then error(("not a status line: %q"):format(lines[1]), 0) end
  status = tonumber(status)
  local headers = take_headers(self, deadline, lines)
  return {
    version = version, status = status, reason = reason, headers = headers,
    body = take_body(self, status, headers, is_head, deadline),
    raw = table.concat(lines, "\r\n") .. "\r\n",
  }
end

--- All bytes until the server ends its side.
function connection:receive_until_closed(limit)
  return take_rest(self, socket.gettime() + (limit or LIMIT_S))
end

--- Whether something is there to read, or comes within the limit; the end of the input is.
---@param limit number seconds
function connection:has_input(limit)
  return self.buffer ~= "" or #socket.select({ self.tcp }, nil, limit) > 0
end

--- Whether the server ends its side within the limit, without another byte before.
function connection:is_closed(limit)
  if self.buffer ~= "" then return false end
  local ok, has_more = pcall(fill, self, socket.gettime() + (limit or LIMIT_S))
  return ok and not has_more and self.buffer == ""
end

--- Ends our side; what the server still sends can be read.
function connection:half_close()
  assert(self.tcp:shutdown "send")
end

--- Ends the connection at once, by a reset.
function connection:reset()
  assert(self.tcp:setoption("linger", { on = true, timeout = 0 }))
  self.tcp:close()
end

function connection:close()
  self.tcp:close()
end

--- Sends bytes on a connection of their own and gives the response.
function raw.request(to, bytes, limit)
  local client = raw.connect(to)
  local ok, response = pcall(function()
    client:send(bytes)
    return client:receive_response(limit, bytes:sub(1, 5) == "HEAD ")
  end)
  client:close()
  if not ok then error(response, 2) end
  return response
end

return raw
