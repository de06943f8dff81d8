-- sync_async_spec.lua - every route of apps/sync_async, over real HTTP.
--
-- That the server keeps serving is shown by order: a request that came later is answered first.

local async = require "perilune.async"
local test = require "perilune.test"

describe("sync_async", function()
  local client

  -- One request schedules a thousand tasks, which a spec keeps a list of.
  setup(function() client = test.client { stall_limit = 2 } end)
  teardown(function() client:close() end)

  --- Answers in order of arrival: of a request that waits, and of one that is sent behind it.
  local function in_order(path)
    local answers = {}
    async.gather(function()
      local waited = client:get(path .. "?seconds=0.05"):json().waited
      answers[#answers + 1] = waited
    end, function()
      assert.equal(200, client:get("/timeline").status)
      answers[#answers + 1] = "the other"
    end)
    return answers
  end

  it("serves others while a coroutine waits", function()
    assert.same({ "the other", "on the event loop" }, in_order "/async")
  end)

  it("serves others while a thread waits", function()
    assert.same({ "the other", "on a thread of the pool" }, in_order "/sync")
    assert.same({ "the other", "alone" }, in_order "/mended")
  end)

  it("serves nobody while a plain handler blocks", function()
    assert.equal("and so did everybody else", client:get("/trap?seconds=0"):json().waited)
  end)

  it("takes turns where one waits, and nowhere else", function()
    assert.same({
      "a asks the database", "b runs while a waits", "b has not been interrupted", "a goes on",
    }, client:get("/timeline"):json())
  end)

  it("waits for a call, and not for a task", function()
    assert.same({
      "the call begins", "the call has given 42", "the handler goes on", "the task runs",
    }, client:get("/order"):json())
  end)

  it("refuses what is no time", function()
    for _, path in ipairs { "/async", "/sync", "/trap", "/mended" } do
      for _, seconds in ipairs { "soon", "-1", "11", "nan" } do
        local res = client:get(path .. "?seconds=" .. seconds)
        assert.equal(400, res.status, path .. seconds)
        assert.same({ detail = "seconds: from 0 to 10" }, res:json())
      end
    end
  end)

  it("waits below pcall, in metamethods and in iterators", function()
    assert.same({ "pcall", "metamethod", "iterator" }, client:get("/anywhere"):json())
  end)

  it("says where nobody can wait", function()
    local res = client:get("/nowhere")
    assert.equal(422, res.status)
    assert.same({ detail = "async.sleep cannot wait inside 'table.sort': collect first, then wait"
      .. " outside of it" }, res:json())
  end)

  it("says what cannot go to another state", function()
    local res = client:get("/moved")
    assert.equal(422, res.status)
    assert.same({ detail = "argument 1 (thread) cannot be sent to another Lua state" }, res:json())
  end)

  it("has as many threads as the pool, whatever is scheduled", function()
    local answer = client:get("/crowd?tasks=1000"):json()
    assert.equal(1000, answer.tasks)
    assert.is_true(answer.threads >= 1 and answer.threads <= 8, answer.threads)
    assert.equal(0, answer.visits_seen_here)
    for _, tasks in ipairs { "0", "1.5", "many", "5001" } do
      assert.equal(400, client:get("/crowd?tasks=" .. tasks).status)
    end
  end)
end)
