-- once.lua - req:once(key, fn, [close]): a value made once per request, closed at its end.
--
-- In a blocking handler, whose `req` is a copy, the value lives until the call ends. An error of fn
-- is not kept: who waited for the value makes it anew. Values are closed in reverse order, when the
-- handler has ended and its answer, a stream too, is complete; each close is protected.

local chain = require "perilune.native.chain"
local check = require "perilune.check"
local native = require "perilune.native.once"

--- A value being made, or made; closing it while it is not made gives way to the next one.
local Making = {}

function Making.__close(making)
  if not making.is_made then making.store[making.key] = nil end
  making.gate:open()
end

--- What `closers` of C runs at the end.
local function close_all(list)
  for i = #list, 1, -1 do
    local closer = list[i]
    local ok, err = xpcall(closer.close, chain.save_trail, closer.value)
    if not ok then chain.log_failed(closer.req, "closing what req:once made failed", err) end
  end
end

local function fail_ended(key)
  check.fail("req:once(%q): the request has ended: make it in the task itself", tostring(key))
end

local function check_arguments(key, fn, close)
  if key == nil or key ~= key then check.fail("req:once takes a key, not %s", tostring(key)) end
  if type(fn) ~= "function" then
    check.fail("req:once takes a function that makes the value, not a %s", type(fn))
  end
  if close ~= nil and type(close) ~= "function" then
    check.fail("req:once takes a function that closes the value, not a %s", type(close))
  end
end

--- Waits while another task makes the value; nil when it is to be made.
local function find(store, key)
  while store[key] and not store[key].is_made do
    if store[key].maker == native.running() then
      check.fail("req:once(%q) is asked for by the function that makes it", tostring(key))
    end
    store[key].gate:wait()
  end
  return store[key]
end

---@param key any
---@param fn function makes the value, the first of its results
---@param close function|nil close(value)
---@return any value
---@usage local db = req:once("db", open_db, function(db) db:close() end)
local function once(req, key, fn, close)
  local store = native.store(req)
  check_arguments(key, fn, close)
  if not store then fail_ended(key) end
  local made = find(store, key)
  if made then return made.value end
  local making <close> = setmetatable({
    store = store, key = key, gate = native.gate(), maker = native.running(),
  }, Making)
  store[key] = making
  local value = fn()
  if not native.store(req) then -- it has ended meanwhile
    if close then close(value) end
    fail_ended(key)
  end
  making.value, making.is_made, making.maker = value, true, nil
  if close then
    local list = native.closers(req, close_all)
    list[#list + 1] = { req = req, close = close, value = value }
  end
  return value
end

native.install(once)

return once
