-- nested_spec.lua - calls made in the code of calls, over several pools; a pool's threads.
--
-- spec/apps/nested is loaded into the spec's own state. How pools keep from waiting for each other
-- is looked at more closely in spec/c/pool_nested_spec.c.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local function fails_with(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  return err
end

--- A number for each of the states, in order of appearance.
local function letters(states)
  local seen, count = {}, 0
  local named = {}
  for i, state in ipairs(states) do
    if not seen[state] then
      count = count + 1
      seen[state] = count
    end
    named[i] = seen[state]
  end
  return named
end

describe("a call within a call", function()
  local client, f

  setup(function()
    client = site.open "nested"
    f = client.app.functions
  end)
  teardown(function() client:close() end)

  it("goes to the pool that it names, and inline to one that it is in", function()
    assert.same({ 1, 2, 3 }, letters(f.walk { "a", "b", "c" }))
    local states = f.walk { "a", "b", "a", "a", "c", "b" }
    assert.not_equal(states[1], states[2])
    assert.same({ states[2], states[2] }, { states[3], states[4] })
    assert.equal(states[5], states[6])
  end)

  it("by run_blocking goes to the pool that is named there, not to the function's own", function()
    local inside, outside = f.in_a(f.run_in_a, f.of_b)
    assert.equal(inside, outside)
    assert.not_equal(inside, (f.of_b()))
  end)

  it("ends, however many go in a circle", function()
    local names = { "a", "b", "c" }
    local list = {}
    for i = 0, 299 do
      local walk = {}
      for step = 0, i % 5 + 1 do walk[#walk + 1] = names[(i // 3 * step + i) % 3 + 1] end
      list[#list + 1] = walk
    end
    local done = async.map(list, function(walk) return #f.walk(walk) == #walk end)
    for i = 1, #list do assert.is_true(done[i]) end
  end)

  it("may go over a loop", function()
    for _ = 1, 3 do
      local states = f.through_loop { "b", "a" }
      assert.equal(3, #states)
      states = f.through_loop { "a" }
      assert.equal(2, #states)
    end
    local tasks = {}
    for i = 1, 20 do tasks[i] = { f.through_loop, { i % 2 == 0 and "a" or "b" } } end
    for i, outcome in ipairs(async.settle(tasks)) do
      if outcome.ok then
        assert.equal(2, #outcome.value, i)
      else
        assert.equal("full", outcome.error.kind, tostring(outcome.error))
      end
    end
    assert.equal(2, #f.through_loop { "b" })
  end)

  it("gives its children to idle threads", function()
    local list = {}
    for i = 1, 6 do list[i] = 2000000 end
    local seen, sums = f.fan_out(list)
    if os.getenv "STRESS" ~= "1" then assert.equal(3, seen) end -- there they end soon, others come
    assert.equal(6, #sums)
    local ok = async.map({ 1, 2, 3, 4, 5, 6 }, function()
      local _, more = f.fan_out { 1000, 1000, 1000, 1000 }
      return #more == 4
    end)
    for i = 1, 6 do assert.is_true(ok[i]) end
  end)

  it("brings errors", function()
    local err = fails_with(nil, f.calls_failing)
    assert.is_truthy(err:find "app.lua:%d+: deep in b$", err)
    assert.equal(500, client:get("/failing").status)
  end)

  it("has the context of the call around it", function()
    assert.same({ user = "ann" }, client:get("/context"):json())
  end)

  it("reads the body of the request, and writes its response", function()
    local body = ("0123456789"):rep(30000)
    local got = client:post("/body", { body = body }):json()
    assert.is_true(body == got.body)
    assert.is_false(got.has_left)
    local res = client:get "/stream/2000"
    local lines = {}
    for line in res.body:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal(2001, #lines)
    assert.equal("2000", lines[2000])
    assert.equal(res.headers["x-state"], lines[2001])
    assert.equal("another", client:get("/dropped").body)
    assert.equal(3, #f.walk { "a", "b", "a" })
  end)

  it("that finds the other pool full is answered with 503", function()
    local path = os.tmpname()
    os.remove(path)
    local held = async.spawn(f.hold, path)
    wait.wait_until(function() return program.read(path) == "running" end, nil, "the thread")
    local queued = async.spawn(f.hold, path)
    async.checkpoint()
    async.checkpoint()
    local res = client:get("/full?path=" .. path)
    assert.equal(503, res.status)
    assert.equal("1", res.headers["retry-after"])
    queued:cancel()
    os.remove(path)
    held:wait()
  end)

  it("of a thousand tasks runs on the threads that the pool has", function()
    local states = client:get("/thousand"):json().states
    assert.is_true(states >= 1 and states <= 2, states)
    local list = {}
    for i = 1, 1000 do list[i] = i end
    local seen, count = {}, 0
    for _, state in ipairs(async.map(list, function() return f.wide_state() end)) do
      if not seen[state] then seen[state], count = true, count + 1 end
    end
    assert.is_true(count <= 3, count)
  end)
end)

describe("a pool thread at its memory limit", function()
  local server

  local function metric(name)
    local text = server.admin("/-/metrics")
    return tonumber(text:match("\n" .. name .. '{pool="narrow"} (%S+)'))
  end

  setup(function()
    server = site.start("nested", { "--memory-limit", "8m", "--admin", "127.0.0.1:0", "--pool-idle",
      "0.2" })
    local url = server:wait_log "admin endpoint open url=(http://%S-:%d+)%s"
    local http = require "perilune.http"
    server.admin = function(path) return http.get(url .. path).body end
  end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  it("fails its call, and is replaced for the next", function()
    local got = server:get("/fill"):json()
    assert.same({ "memory", false }, { got.kind, got.kept })
    assert.equal("not enough memory: a Lua state of pool 'narrow' has reached its memory limit of "
      .. "8388608 bytes", got.message)
    assert.equal(1, metric "perilune_pool_replaced_threads_total")
    assert.equal(500, server:get("/fails").status)
    wait.for_log(server, "target=/fails [^\n]*not enough memory: a Lua state of pool 'narrow'")
    assert.equal(2, metric "perilune_pool_replaced_threads_total")
    assert.is_false(server:get("/kept"):json().kept)
  end)

  it("is replaced between calls when it keeps too much", function()
    local before = metric "perilune_pool_replaced_threads_total"
    assert.equal(200, server:get("/fill/4000000").status)
    assert.is_true(server:get("/kept"):json().kept)
    assert.equal(before, metric "perilune_pool_replaced_threads_total")
    local full = server:get("/fill/8150000"):json().state
    local next_one = server:get("/kept"):json()
    assert.is_false(next_one.kept)
    assert.not_equal(full, next_one.state)
    assert.equal(before + 1, metric "perilune_pool_replaced_threads_total")
  end)

  it("and any other ends when it is idle for long", function()
    server:get "/kept"
    wait.wait_until(function() return metric "perilune_pool_threads" == 0 end, nil, "the end")
    assert.is_false(server:get("/kept"):json().kept)
  end)
end)

describe("a mark that names no pool of the app", function()
  it("is a load error", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app { pools = { video = { threads = 1 } } }
perilune.blocking({ pool = "video" }, function() end)
perilune.blocking({ pool = "audio" }, function() end)
return app
]] }
    local result = program.run { "serve", directory, "--port", "0" }
    program.remove_directory(directory)
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find("app.lua:4: there is no pool 'audio' in this app", 1, true),
      result.err)
  end)
end)
