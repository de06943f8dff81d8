-- quiz_spec.lua - the answers of apps/quiz, over real HTTP.
--
-- What gets to run is told by whether it has run, not by times.

local test = require "perilune.test"

describe("the answer to question", function()
  local client

  setup(function() client = test.client { checks = { stalls = false } } end) -- the second stalls
  teardown(function() client:close() end)

  it("1 is that nobody waits for a handler that has its own thread", function()
    assert.same({ others_ran = true }, client:get("/1?seconds=10"):json())
  end)

  it("2 is that everybody waits for a plain handler that blocks", function()
    assert.same({ others_ran = false }, client:get("/2?seconds=0"):json())
    client:finish_tasks()
  end)

  it("3 is that the pool computes, results in order", function()
    local answer = client:get("/3?kilobytes=10"):json()
    assert.equal(4, #answer.codes)
    for _, codes in ipairs(answer.codes) do assert.equal(answer.codes[1], codes) end
    assert.is_true(answer.codes[1] < 1024 and answer.seconds > 0)
  end)

  it("4 is that gather cancels the other, and settle does not", function()
    assert.same({ raised = "no answer", other = "cancelled",
      settled = { "no answer", "an answer" } }, client:get("/4"):json())
  end)

  it("is none for what was not asked", function()
    for _, path in ipairs { "1?seconds=11", "2?seconds=soon", "3?kilobytes=0", "3?kilobytes=x" } do
      assert.equal(400, client:get("/" .. path).status, path)
    end
    assert.equal(404, client:get("/5").status)
  end)
end)
