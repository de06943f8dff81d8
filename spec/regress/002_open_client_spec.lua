-- 002_open_client_spec.lua - test clients that a spec does not close.
--
-- The run ended never, as the server still listened; a second client beside an open one left the
-- state with the first one's files, which were gone: now each has its own. Runs `perilune test` on
-- specs made here.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/regress/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local site = require "support.site"

describe("a test client", function()
  local function run(body)
    local directory = program.make_directory {
      ["a_spec.lua"] = ([[
        local test = require "perilune.test"
        local dir = %q
        it("works", function() %s end)]]):format(site.dir "results", body),
    }
    local result = program.run { "test", directory }
    program.remove_directory(directory)
    return result
  end

  it("that is not closed ends with the run", function()
    local result = run [[assert.equal("text", test.client(dir):get("/good/text").body)]]
    assert.equal(0, result.code, result.err)
    assert.is_truthy(result.out:find "1 passed, 0 failed")
  end)

  it("leaves another one as it is", function()
    local result = run [[
      local first = test.client(dir)
      local second = test.client(dir)
      first:close()
      assert.equal("text", second:get("/good/text").body)
      second:close()
      test.client(dir):close()
    ]]
    assert.equal(0, result.code, result.err)
  end)
end)
