-- shields_spec.lua - the end of a server with tasks in it: shields, the limit, and the table.
--
-- spec/apps/shields runs in a server process, which is stopped in the middle of everything.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local site = require "support.site"

local LIMIT_S = 20 -- nothing here takes as long

local function start(...) return site.start("shields", { "--workers", "1", ... }) end

local function get(server, path)
  local res = server:get(path)
  assert.equal(200, res.status, res.body)
end

local function wait_for(server, text)
  assert.is_truthy(server:wait_log(text, LIMIT_S), server:log())
end

--- How many lines of the log have the text.
local function count(server, text)
  local _, times = server:log():gsub(text:gsub("%p", "%%%0"), "")
  return times
end

--- The numbers of the table at the end, checked: they add up.
local function read_table(server)
  local line = server:log():match "info  tasks (scheduled=[^\n]*)"
  assert.is_truthy(line, server:log())
  local numbers = {}
  for name, value in line:gmatch "([%w_]+)=([%d.]+)" do numbers[name] = tonumber(value) end
  assert.equal(numbers.scheduled, numbers.done + numbers.failed + numbers.cancelled
    + numbers.dropped + numbers.unfinished)
  numbers.line = line
  return numbers
end

describe("the end of a server", function()
  it("waits for what is shielded, waiting or running, and cancels the rest (P81 to P87)", function()
    local server = start()
    get(server, "/load")
    wait_for(server, "note begins shielded1")
    wait_for(server, "note after the response")
    assert.equal(0, server:stop("TERM", LIMIT_S), server:log())
    for _, text in ipairs {
      "note paid", "note gathered", "note told of retried after 3", "note ends shielded1",
      "note ends shielded2", "note ends shielded3", "note on_cancel the server stops",
    } do
      assert.equal(1, count(server, text), text .. "\n" .. server:log())
    end
    assert.equal(0, count(server, "note ends plain"))
    local numbers = read_table(server)
    assert.equal(10, numbers.scheduled)
    assert.equal(6, numbers.done)
    assert.equal(1, numbers.failed)
    assert.equal(3, numbers.cancelled)
    assert.equal(0, numbers.unfinished)
    assert.is_true(numbers.shielded > 0)
    assert.is_true(numbers.shielded_waited_s > 0)
    assert.is_truthy(numbers.line:find "1 x pay at [^ ]*app.lua:%d+")
    assert.is_truthy(numbers.line:find "1 x pay_blocking at its pool")
  end)

  it("lets nothing be scheduled any more, and says so (P92)", function()
    local server = start()
    get(server, "/late")
    wait_for(server, "note waits for the end")
    assert.equal(0, server:stop("TERM", LIMIT_S), server:log())
    assert.equal(1, count(server, "note refused stopping nothing can be scheduled any more"),
      server:log())
  end)

  it("interrupts shielded tasks when it takes too long, and tells each (P88)", function()
    local cases = { ["/endless"] = { "waits", "in_pool" }, ["/computes"] = { "computes" } }
    for path, names in pairs(cases) do
      local server = start("--shutdown-timeout", "0.5")
      get(server, path)
      wait_for(server, path == "/computes" and "note computes" or "note begins endless")
      assert.equal(1, server:stop("TERM", LIMIT_S), server:log())
      assert.equal(1, count(server, "shutdown timed out: what is left is interrupted"))
      assert.equal(0, count(server, "given up"), server:log())
      for _, name in ipairs(names) do
        local text = "task interrupted: the shutdown has taken too long task=" .. name
        assert.equal(1, count(server, text), server:log())
      end
      local numbers = read_table(server)
      assert.equal(#names, numbers.cancelled)
      assert.equal(0, numbers.unfinished)
    end
  end)

  it("is at once with a second signal, shields or not", function()
    local server = start("--shutdown-timeout", "60")
    get(server, "/endless")
    wait_for(server, "note begins endless")
    server:signal "TERM"
    wait_for(server, "stopping")
    assert.equal(1, server:stop("TERM", LIMIT_S))
    assert.equal(0, count(server, "shutdown timed out"))
  end)

  it("has no table where no task was ever scheduled", function()
    local server = start()
    assert.equal(0, server:stop("TERM", LIMIT_S))
    assert.is_nil(server:log():find("tasks scheduled=", 1, true))
  end)
end)
