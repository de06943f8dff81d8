-- 004_descriptors_spec.lua - a server whose descriptors are used up.
--
-- libuv accepts in a loop of its own, which went round for ever when the kernel had no descriptor
-- for a waiting client and the spare one was lost: no connection was served any more.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/regress/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

describe("a server without a free descriptor", function()
  local FEW, MANY = 5, 500
  local HELLO = "GET /good/text HTTP/1.1\r\nHost: a\r\n\r\n"
  local app, first, second

  local function limit(count)
    assert(os.execute(("prlimit --pid %d --nofile=%d:"):format(app.pid, count)))
  end

  before_each(function() app = site.start "results" end)
  after_each(function()
    for _, connection in ipairs { first, second } do connection:close() end
    app:kill()
  end)

  it("serves the connections it has, and those that wait once there is one again", function()
    first = raw.connect(app.port)
    first:send(HELLO)
    assert.equal(200, first:receive_response().status)
    limit(FEW)
    second = raw.connect(app.port)
    second:send(HELLO)
    wait.for_log(app, "connections cannot be accepted")
    for _ = 1, 3 do
      first:send(HELLO)
      assert.equal(200, first:receive_response().status)
    end
    assert.is_false(second:has_input(0))
    limit(MANY)
    assert.equal(200, second:receive_response().status)
  end)
end)
