-- streams.lua - responses that are read while they come.
--
-- Cases for cases.lua.

local assert = require "luassert"
local async = require "perilune.async"
local expect = require "expect"
local http = require "perilune.http"

local cases = {}

local function open(base, path, key, options)
  options = options or {}
  options.stream = true
  return http.get(("%s/%s/%s"):format(base, path, key), options)
end

--- Reads until the text has the part.
local function read_until(res, part)
  local text = ""
  for piece in res:chunks() do
    text = text .. piece
    if text:find(part, 1, true) then return text end
  end
  error(("no %q in %q"):format(part, text))
end

cases["a stream is there with its head"] = function(base)
  local key = expect.new_key()
  local res <close> = open(base, "trickle", key)
  assert.equal(200, res.status)
  assert.is_nil(res.body)
  assert.equal("chunked", res.headers["transfer-encoding"])
  assert.is_nil(expect.seen(base, key).seen)
  assert.equal("piece 1\npiece 2\npiece 3\n", read_until(res, "piece 3\n"))
end

cases["a stream is read to its end"] = function(base)
  local res = open(base, "trickle", expect.new_key(), { query = { ends = 1, pieces = 50 } })
  local pieces = {}
  for piece in res:chunks() do pieces[#pieces + 1] = piece end
  assert.equal("piece 50\n", table.concat(pieces):sub(-9))
  assert.is_nil(res:chunks()())
  res = open(base, "status", 204)
  assert.is_nil(res:chunks()())
end

cases["a stream that nobody reads any more is dropped"] = function(base)
  local query = { query = { beats = 1 } }
  local broken, closed, unread = expect.new_key(), expect.new_key(), expect.new_key()
  for piece in open(base, "trickle", broken, query):chunks() do
    if piece ~= "" then break end
  end
  expect.left(base, broken)
  do
    local res <close> = open(base, "trickle", closed, query)
    res:chunks()()
  end
  expect.left(base, closed)
  open(base, "trickle", unread, query)
  collectgarbage()
  collectgarbage()
  expect.left(base, unread)
end

cases["a cancelled reader drops its stream"] = function(base)
  local key, has_begun, res = expect.new_key(), nil, nil
  local task = async.spawn(function()
    res = open(base, "trickle", key, { query = { beats = 1 } })
    for _ in res:chunks() do has_begun = true end
  end)
  expect.until_true(function() return has_begun end)
  task:cancel "enough"
  expect.fails_with("cancelled", "enough", task.wait, task)
  expect.left(base, key)
  expect.misuse("of a response that was closed", res:chunks())
end

cases["a stream that was closed cannot be read"] = function(base)
  local res = open(base, "trickle", expect.new_key())
  local next_piece = res:chunks()
  local reader = async.spawn(function() while true do next_piece() end end)
  async.checkpoint()
  expect.until_true(function() return reader.status == "running" end)
  res:close()
  res:close()
  expect.misuse("response:chunks() of a response that was closed", reader.wait, reader)
  expect.misuse("response:chunks() of a response that was closed", next_piece)
end

cases["one task at a time reads a stream"] = function(base)
  local res <close> = open(base, "trickle", expect.new_key())
  read_until({ chunks = function() return (res:chunks()) end }, "piece 3\n")
  local reader = async.spawn(function() return (res:chunks())() end)
  expect.until_true(function() return reader.status == "running" end)
  expect.misuse("another task is reading it", (res:chunks()))
  reader:cancel()
  expect.fails_with("cancelled", "", reader.wait, reader)
end

cases["a stream has no body to decode"] = function(base)
  local res <close> = open(base, "trickle", expect.new_key())
  expect.misuse("the response is a stream: read response:chunks()", res.json, res)
  expect.misuse("use a colon: response:chunks()", res.chunks)
  expect.misuse("use a colon: response:close()", res.close, {})
  assert.equal(res, res:raise_for_status())
end

cases["chunks work for a whole response"] = function(base)
  local pieces = {}
  for piece in http.get(base .. "/big/10"):chunks() do pieces[#pieces + 1] = piece end
  assert.same({ ("a"):rep(10) }, pieces)
  assert.is_nil(http.get(base .. "/big/0"):chunks()())
  local res <close> = http.get(base .. "/big/3")
  res:close()
  assert.equal("aaa", res.body)
end

cases["a stream may stand still for so long"] = function(base)
  local err = expect.fails_with("timeout", "not a byte within 0.05 s", function()
    local options = { idle_timeout = expect.SHORT }
    read_until(open(base, "trickle", expect.new_key(), options), "piece 4")
  end)
  assert.equal(28, err.code)
end

cases["a stream waits for its head only so long"] = function(base)
  expect.fails_with("timeout", "no complete response within 0.05 s", open, base, "hang",
    expect.new_key(), { timeout = expect.SHORT })
end

cases["a stream may have a limit"] = function(base)
  local res = open(base, "flood", expect.new_key(), { max_body = "1m" })
  local bytes = 0
  expect.fails_with("http", "the response is larger than 1 MiB", function()
    for piece in res:chunks() do bytes = bytes + #piece end
  end)
  assert.is_true(bytes <= 1 << 20)
end

cases["a reader that is slow keeps the server waiting"] = function(base)
  local key = expect.new_key()
  local res <close> = open(base, "flood", key)
  local next_piece = res:chunks()
  local written = -1
  expect.until_true(function() -- what is written grows until all buffers are full
    local before = written
    written = expect.seen(base, key).count
    async.sleep(0.05)
    return written > 0 and written == before
  end)
  local bytes = 0
  for _ = 1, 400 do bytes = bytes + #next_piece() end
  assert.is_true(bytes > 400 * 1024)
  expect.until_true(function() return expect.seen(base, key).count > written end)
end

return cases
