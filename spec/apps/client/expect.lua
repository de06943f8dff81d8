-- expect.lua - what the cases of this directory share: calls that must fail, a limit, closers.
--
-- LONG seconds are given to what should never happen within a case; no case waits for them. SHORT
-- is a time that has to pass.

local assert = require "luassert"
local async = require "perilune.async"
local http = require "perilune.http"

local expect = { LONG = 60, SHORT = 0.05 }

--- The error of a call that must raise one of that kind whose text has the part.
function expect.fails_with(kind, part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  assert.is_truthy(tostring(err):find(part, 1, true), tostring(err))
  return err
end

--- A misuse: its text has the part, and tells where it was called.
function expect.misuse(part, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("string", type(err), tostring(err))
  assert.is_truthy(err:find(part, 1, true), err)
  return err
end

--- Lets others run until the check holds.
function expect.until_true(check)
  local deadline = async.now() + expect.LONG / 2
  while not check() do
    if async.now() > deadline then error("waited in vain", 2) end
    async.sleep(0.002)
  end
end

local made = 0

--- A name that the server has not heard yet.
function expect.new_key()
  made = made + 1
  return ("%p-%d-%d"):format(expect, made, math.random(1 << 40))
end

--- What the server at `base` has noted under a key.
function expect.seen(base, key)
  return http.get(("%s/seen/%s"):format(base, key)):json()
end

--- Waits until the server has seen a client of that key leave.
function expect.left(base, key)
  expect.until_true(function() return expect.seen(base, key).seen == "left" end)
end

--- Waits until a request of that key has come to the server.
function expect.arrived(base, key)
  expect.until_true(function() return expect.seen(base, key).count > 0 end)
end

--- A function that gives the values one by one, then nil.
function expect.each(values)
  local at = 0
  return function()
    at = at + 1
    return values[at]
  end
end

return expect
