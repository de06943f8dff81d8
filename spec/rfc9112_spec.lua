-- rfc9112_spec.lua - every rule of RFC 9112 for requests, as rows of bytes and what must come back.
--
-- The rows stand in spec/rfc9112/ by topic: { section, what it shows, bytes, status or a list of
-- them }, with `body` of the last answer; `close` (the connection ends after it; what is not given
-- follows from the status); `half_close` (the client ends its side); `waits` (the bytes behind the
-- head are sent when 100 has come); `cut` and `bulky` (not sent behind another request, or not
-- byte by byte); `whole` (only in one piece). Each is tried on a connection of its own, in one
-- piece, byte by byte, and behind a good request. A request to /mark behind one that ends the
-- connection must never be run.

local raw = require "support.raw"
local request = require "support.request"
local server = require "support.server"

local TOPICS = { "line", "target", "fields", "framing", "connection" }
local SPLIT_BYTES_MAX = 1000
local KEPT = { [200] = true, [204] = true, [404] = true, [405] = true }
local MARK = request.get(nil, "/mark")

local site
local client

setup(function() site = server.start "spec/apps/strict" end)

after_each(function()
  if client then client:close() end
  client = nil
end)

teardown(function()
  local code = site:stop()
  assert.equal(0, code, site:log())
end)

local function statuses(row)
  return type(row[4]) == "table" and row[4] or { row[4] }
end

--- Whether the connection ends with the last answer.
local function ends(row)
  if row.close ~= nil then return row.close end
  local list = statuses(row)
  return not KEPT[list[#list]]
end

--- Sends in one piece, or in as many as there are bytes; a server that has closed is no failure.
local function send(bytes, is_split)
  if not is_split then return client:try_send(bytes) end
  for byte in bytes:gmatch "." do
    if not client:try_send(byte) then return end
  end
end

local function send_row(row, is_split)
  local bytes, rest = row[3], nil
  if row.waits then
    local last = select(2, bytes:find("\r\n\r\n", 1, true))
    bytes, rest = bytes:sub(1, last), bytes:sub(last + 1)
  elseif ends(row) and not row.half_close then
    bytes = bytes .. MARK
  end
  send(bytes, is_split)
  if row.half_close then client:half_close() end
  return rest
end

--- What every answer of the server has.
local function check_answer(response)
  local headers = response.headers
  assert.is_truthy((headers.date or ""):find "^%a%a%a, %d%d %a%a%a %d%d%d%d %d%d:%d%d:%d%d GMT$")
  if response.status == 204 then
    assert.is_nil(headers["content-length"])
  else
    assert.is_truthy((headers["content-length"] or ""):find "^%d+$")
  end
end

local function check_end(row, response)
  if not ends(row) then
    client:send(request.get())
    assert.equal("hello", client:receive_response().body)
    return
  end
  if not row.half_close then assert.equal("close", response.headers.connection) end
  assert.is_true(client:is_closed())
end

local function try(row, is_split, before)
  client = raw.connect(site.port)
  if before then client:send(before) end
  local rest = send_row(row, is_split)
  if before then assert.equal("hello", client:receive_response().body) end
  local is_head = row[3]:sub(1, 5) == "HEAD "
  local response
  for _, status in ipairs(statuses(row)) do
    response = client:receive_response(nil, is_head)
    assert.equal(status, response.status)
    if status == 100 then send(rest, is_split) else check_answer(response) end
  end
  if row.body then assert.equal(row.body, response.body) end
  check_end(row, response)
end

for _, topic in ipairs(TOPICS) do
  describe("RFC 9112, " .. topic .. ":", function()
    for _, row in ipairs(require("rfc9112." .. topic)) do
      local name = ("%s %s"):format(row[1], row[2])
      it(name, function() try(row) end)
      if not row.whole and not row.bulky and #row[3] <= SPLIT_BYTES_MAX then
        it(name .. ", byte by byte", function() try(row, true) end)
      end
      if not row.cut then
        it(name .. ", behind another", function() try(row, false, request.get()) end)
      end
    end
  end)
end

describe("what stands behind the end of a connection", function()
  it("was never run", function()
    assert.equal("0", raw.request(site.port, request.get(nil, "/marks")).body)
  end)
end)
