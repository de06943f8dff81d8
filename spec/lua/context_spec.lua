-- context_spec.lua - perilune.context: handed down to what a task starts, and to nobody else.
--
-- The app of spec/apps/context tells what it sees; what the log has of it is asked of a server.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local site = require "support.site"
local wait = require "support.wait"

describe("perilune.context", function()
  local client, app

  setup(function()
    client = site.open "context"
    app = client.app
  end)
  teardown(function() client:close() end)

  local function get(path) return site.json(client, path) end

  it("is req.context, and the module of that name", function()
    local seen = get "/middleware?user=ann"
    assert.is_true(seen.same)
    assert.equal("ann", seen.user)
    assert.equal(perilune.context, require "perilune.context")
    assert.equal("table", type(perilune.context))
  end)

  it("has the id of the request, and nothing else at first", function()
    local seen = get "/middleware"
    assert.same({ request_id = seen.id }, seen.pairs)
  end)

  it("is copied to children; what they write stays with them", function()
    local seen = get "/children"
    for _, who in ipairs { "child", "pool", "grandchild" } do
      assert.equal("ann", seen[who].user, who)
      assert.equal(seen.child.request_id, seen[who].request_id, who)
    end
    assert.equal("ann", seen.spawned.user)
    assert.same({ 2 }, seen.spawned.shared)
    assert.same({ 1 }, seen.pool.shared)
    assert.equal("after the spawn", seen.mine)
  end)

  it("goes on inside of the pool", function()
    local seen = get "/nested"
    assert.same({ "ann", "pool" }, { seen.inner.user, seen.inner.layer })
    assert.same({ "ann", "pool" }, { seen.outer.user, seen.outer.layer })
    assert.equal("ann", seen.mine.user)
    assert.is_nil(seen.mine.layer)
    assert.equal(seen.mine.request_id, seen.inner.request_id)
  end)

  it("is there in a blocking handler", function()
    local seen = get "/blocking?user=ann"
    assert.same({ "ann", "pool" }, { seen.before, seen.after })
    assert.is_truthy(seen.id:find "^%x+$")
  end)

  it("is that of the moment of scheduling, for all timings and kinds (P47)", function()
    assert.equal("later", client:get("/tasks").body)
    assert.equal(6, #app.seen)
    for i, task in ipairs(app.seen) do
      local told = task:wait()
      assert.equal("at schedule", told.user, tostring(i))
      assert.is_truthy(told.request_id)
    end
  end)

  it("is there when an error is answered, and in a task's on_error", function()
    assert.equal("ann", client:get("/error"):json().user)
    client:get "/on_error"
    wait.wait_until(function() return app.seen.user end)
    assert.equal("ann", app.seen.user)
  end)

  it("is not shared by requests that run at once", function()
    local users = {}
    for i = 1, 20 do users[i] = "user" .. i end
    local seen = async.map(users, function(user) return get("/slow?user=" .. user) end)
    local ids = {}
    for i, user in ipairs(users) do
      assert.equal(user, seen[i].user)
      assert.is_nil(ids[seen[i].id])
      ids[seen[i].id] = true
    end
  end)

  it("takes any key, and is written while it is gone through", function()
    assert.same({ count = 4, a = "none", again = 3 }, get "/keys")
  end)

  it("is the spec's own in a spec", function()
    perilune.context.own = "spec"
    assert.equal("spec", async.spawn(function() return perilune.context.own end):wait())
    assert.is_nil(perilune.context.request_id)
    perilune.context.own = nil
  end)

  it("says what cannot be written", function()
    local expected = {
      request_id = "app.lua:%d+: context.request_id is set by the server",
      nil_key = "a key is not nil", nan_key = "a key is not nan",
      transfer = "^context%.db%.handle %(userdata%) cannot be sent to another Lua state",
    }
    for name, text in pairs(expected) do
      local told = get("/misuse/" .. name).error
      assert.is_truthy(told:find(text), told)
    end
    assert.is_false(app.at_load[1])
    assert.is_truthy(app.at_load[2]:find("belongs to a running task", 1, true))
  end)
end)

describe("the request's id", function()
  it("is in each log line below the request", function()
    local server = site.start "context"
    assert.equal(204, server:get("/log").status)
    assert.equal(204, server:get("/log_blocking").status)
    wait.for_log(server, "child in the pool")
    assert.equal(0, server:stop(), server:log())
    local ids = {}
    local line = "told where=([%w\" ]-) request=(%x+)"
    for where, id in server:log():gmatch(line) do ids[where] = id end
    assert.equal(ids.handler, ids.child)
    assert.equal(ids.handler, ids.gathered)
    assert.is_truthy(ids.pool)
    assert.equal(ids.pool, ids['"child in the pool"'])
    assert.is_not.equal(ids.handler, ids.pool)
  end)
end)
