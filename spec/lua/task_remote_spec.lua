-- task_remote_spec.lua - a task in another Lua state: its fields, waiting for it, cancelling it.
--
-- Handlers of spec/apps/task_remote hand their tasks to blocking functions and say what came of it.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local site = require "support.site"

local client

setup(function() client = site.open "task_remote" end)
teardown(function() client:close() end)

local function get(path) return site.json(client, path) end

describe("a task in the pool", function()
  it("has the fields that it had when it was sent; what cannot cross is told", function()
    local seen = get "/tell"
    assert.equal("sleeper", seen.name)
    assert.equal("running", seen.status)
    assert.equal("task: sleeper (running)", seen.text)
    assert.equal("argument", seen.args[1])
    assert.is_truthy(seen.args[2]:find "^file")
    assert.is_true(seen.is_same)
    assert.is_true(seen.nothing)
  end)

  it("is cancelled from there, before its start, at its wait, twice and after its end", function()
    for _, when in ipairs { "before", "at_wait", "after" } do
      local seen = get("/cancel/" .. when)
      assert.equal("cancelled", seen.status, when)
      assert.equal("cancelled: from the pool", seen.error, when)
    end
    assert.equal("cancelled: first", get("/cancel/twice").error)
    assert.equal("cancelled: from afar", get("/cancel/nested").error)
  end)

  it("is waited for: its results", function()
    local seen = get "/wait/results"
    assert.is_true(seen.ok)
    assert.equal(5, seen.n)
    assert.equal("done", seen.status)
    assert.is_true(seen.results_kept)
    assert.equal(1, get("/wait/nothing").n)
    assert.equal("later", get("/wait/later").results[1])
    assert.same({ "done", "done" }, get "/wait_ended")
  end)

  it("is waited for: its error", function()
    local seen = get "/wait/error"
    assert.is_false(seen.ok)
    assert.equal("failed", seen.status)
    assert.equal(7, seen.results[1].code)
    assert.is_true(seen.error_kept)
    seen = get "/wait/cancelled"
    assert.equal("cancelled", seen.kind)
    assert.equal("cancelled: enough", seen.error)
    assert.equal("cancelled", seen.status)
  end)

  it("is waited for with a limit, which leaves it alone", function()
    local seen = get "/timeout"
    assert.equal("timeout", seen.kind)
    assert.equal("running", seen.status)
    assert.equal("running", seen.after)
    assert.is_false(seen.error_kept)
  end)

  it("is itself again when it comes back", function()
    assert.same({ same = true, listed = true }, get "/give_back")
  end)

  it("can be of the pool itself", function()
    assert.equal("cancelled", get("/own").kind)
  end)

  it("may have ended with its call", function()
    assert.same({ waited = false, cancelled = true }, get "/gone")
  end)

  it("is not kept by one who has stopped waiting", function()
    assert.equal("cancelled", client:get("/orphan").body)
  end)

  it("joins the tracebacks of all that are between", function()
    local trail = client:get("/trail").body
    assert.is_truthy(trail:find "culprit.*spawned at:.*called from:.*app.lua", trail)
  end)

  it("says what is wrong with a call", function()
    local said = get "/misuse"
    assert.is_truthy(said.wait:find("use a colon (task:wait)", 1, true))
    assert.is_truthy(said.cancel:find("use a colon (task:cancel)", 1, true))
    assert.is_truthy(said.limit:find("number expected, got string", 1, true))
    assert.is_truthy(said.reason:find("string expected, got table", 1, true))
  end)
end)
