-- measure.lua - what the app and the program with lua-cjson measure with.
--
-- The same loop for both: CPU time of the process while one text is decoded, and its value encoded
-- again, for so many seconds each. MB are 1,000,000 bytes of the text.

local measure = {}

local BATCH_BYTES, BYTES_OF_MB = 1000000, 1e6

--- MB per second of CPU time of `operation`, which works on `bytes` bytes.
local function speed(seconds, bytes, operation)
  local count = math.max(1, BATCH_BYTES // bytes)
  local function batch() for _ = 1, count do operation() end end
  batch() -- warms up
  local done, first = 0, os.clock()
  local now
  repeat
    batch()
    done = done + count
    now = os.clock()
  until now - first >= seconds
  return done * bytes / BYTES_OF_MB / (now - first)
end

--- The figures of a workload as lines of text: name and value.
---@param codec table with decode and encode
---@param path string of the file with the text
function measure.text(codec, workload, path, seconds)
  local file <close> = assert(io.open(path, "rb"))
  local text = file:read "a"
  local decode, encode = codec.decode, codec.encode
  local value = decode(text)
  local length = #encode(value)
  assert(math.abs(length - #text) < #text / 10, "the text was not encoded again")
  return ("%s_decode %.2f\n%s_encode %.2f\n"):format(
    workload, speed(seconds, #text, function() decode(text) end),
    workload, speed(seconds, length, function() encode(value) end))
end

return measure
