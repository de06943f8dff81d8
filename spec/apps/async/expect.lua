-- expect.lua - what the cases of this directory share: durations, and calls that must fail.
--
-- LONG seconds are given to what should never happen within a case; no case waits for them. SHORT
-- is a time that has to pass.

local assert = require "luassert"
local async = require "perilune.async"
local fs = require "perilune.fs"

local expect = { LONG = 60, SHORT = 0.02 }

function expect.kind_of(err)
  return type(err) == "table" and err.kind or nil
end

--- The error of a call that must raise one of that kind.
function expect.fails_with(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, expect.kind_of(err), tostring(err))
  return err
end

--- The error, whatever it is, of a call that must raise one.
function expect.error_of(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  return err
end

--- A misuse: its text has the part, and tells where it was called.
function expect.misuse(part, fn, ...)
  local err = expect.error_of(fn, ...)
  assert.equal("string", type(err))
  assert.is_truthy(err:find(part, 1, true), err)
  return err
end

function expect.sleep_long() async.sleep(expect.LONG) end

function expect.compute_forever() while true do end end

function expect.compute(seconds)
  local deadline = async.now() + seconds
  while async.now() < deadline do end
end

--- A value to be closed, with any further ones in it.
function expect.closing(fn, ...)
  return setmetatable({ ... }, { __close = fn })
end

--- A directory for a case: its path is [1]. Removed when closed.
function expect.directory()
  local path = os.tmpname()
  os.remove(path)
  fs.mkdir(path)
  return expect.closing(function() async.shield(fs.remove, path, { recursive = true }) end, path)
end

-- --- children -----------------------------------------------------------------------------------

function expect.echo(...)
  async.checkpoint()
  return ...
end

function expect.fail(err)
  async.checkpoint()
  error(err, 0)
end

--- A child that has ended only some turns after it was cancelled; notes so in the list.
function expect.slow_to_end(list, name)
  return function()
    local _ <close> = expect.closing(function()
      async.shield(async.sleep, expect.SHORT)
      list[#list + 1] = name
    end)
    expect.sleep_long()
  end
end

--- A child that swallows its cancel and fails instead.
function expect.fail_when_cancelled(err)
  return function()
    pcall(expect.sleep_long)
    error(err, 0)
  end
end

function expect.table_error(name)
  return setmetatable({ name = name }, { __tostring = function() return name end })
end

--- Lets others run until the check holds.
function expect.until_true(check)
  local deadline = async.now() + expect.LONG / 2
  while not check() do
    if async.now() > deadline then error("waited in vain", 2) end
    async.checkpoint()
  end
end

return expect
