-- sqlite_clock_spec.lua - databases on a clock that jumps by itself.
--
-- What waits for a database waits for real work; what waits for another one's transaction does not.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local site = require "support.site"
local test = require "perilune.test"

describe("the clock of a test client", function()
  it("stands still while a database works, not while a transaction sleeps", function()
    local client = test.client(site.dir "sqlite", { clock = "auto" })
    local seconds = client:get "/clock":json()
    client:close()
    assert.is_true(seconds.query < 1000, seconds.query)
    assert.is_true(seconds.transactions >= 2000, seconds.transactions)
  end)
end)
