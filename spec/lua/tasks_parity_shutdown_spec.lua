-- tasks_parity_shutdown_spec.lua - the checklist of tasks, P81 to P92: shields, and the end.
--
-- One case for each promise, in the order of the list; P91 is for later. Each has a server process
-- with spec/apps/tasks_parity_shutdown, whose tasks wait for a file: the gate.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local LIMIT_S = 60

--- A server, which ends with the case, and the path of its gate.
local function start(...)
  local server, gate = site.start("tasks_parity_shutdown", { ... }), os.tmpname()
  os.remove(gate)
  finally(function()
    server:kill()
    for _, suffix in ipairs { "", ".shielded" } do os.remove(gate .. suffix) end
  end)
  return server, gate
end

local function open(gate) assert(io.open(gate, "w")):close() end

local function get(server, path, gate)
  local res = server:get(path, { query = { gate = gate } })
  assert.is_true(res.status < 400, res.body)
end

local function noted(server, text)
  wait.for_log(server, "note (" .. text:gsub("%p", "%%%0") .. ")")
end

--- Where the log has a note; nil: nowhere.
local function find_note(server, text) return server:log():find("note " .. text, 1, true) end

local function begin_stop(server)
  server:signal "TERM"
  wait.for_log(server, "(stopping) signal")
end

local function expect_end(server, code)
  assert.equal(code, server:wait(LIMIT_S), server:log())
end

describe("the end of the server", function()
  it("P81: no new connections, requests, tasks without shield, those with, exit", function()
    local server, gate = start()
    local request = async.spawn(server.get, server, "/handler", { query = { gate = gate } })
    for _, name in ipairs { "handler", "plain", "shielded" } do noted(server, name .. " begins") end
    begin_stop(server)
    wait.wait_until(function() return not pcall(raw.connect, server.port) end)
    assert.is_nil(find_note(server, "plain is cancelled"))
    open(gate)
    assert.equal("answered", request:wait().body)
    noted(server, "plain is cancelled")
    assert.is_false(server:has_ended())
    open(gate .. ".shielded")
    expect_end(server, 0)
    assert.is_true(find_note(server, "handler ends") < find_note(server, "plain is cancelled"))
    assert.is_true(find_note(server, "plain is cancelled") < find_note(server, "shielded ends"))
  end)

  it("P82: a task without shield is cancelled at its wait, and may clean up", function()
    local server, gate = start()
    open(gate)
    get(server, "/handler", gate)
    open(gate .. ".shielded")
    noted(server, "plain begins")
    begin_stop(server)
    expect_end(server, 0)
    assert.is_truthy(find_note(server, "plain is cancelled"))
    assert.is_nil(find_note(server, "plain ends"))
  end)

  it("P82: on_cancel of any kind may wait, and compute, until it has cleaned up", function()
    local server, gate = start()
    get(server, "/cancelled", gate)
    begin_stop(server)
    expect_end(server, 0)
    for _, name in ipairs { "plain", "computing", "blocking" } do
      assert.is_truthy(find_note(server, "on_cancel of " .. name .. " ends"), server:log())
    end
  end)

  it("P83: a shielded task runs to its end, whatever its timing", function()
    local server, gate = start()
    get(server, "/timings", gate)
    noted(server, "after_response begins")
    begin_stop(server)
    open(gate)
    expect_end(server, 0)
    for _, timing in ipairs { "now", "after_route", "after_response" } do
      assert.is_truthy(find_note(server, timing .. " ends"), timing)
    end
  end)

  it("P84: a shielded task that has not started yet runs, too", function()
    local server, gate = start()
    get(server, "/queue?shield=1", gate)
    noted(server, "queued1 begins")
    assert.is_nil(find_note(server, "queued2 begins"))
    begin_stop(server)
    open(gate)
    expect_end(server, 0)
    for i = 1, 3 do assert.is_truthy(find_note(server, ("queued%d ends"):format(i))) end
  end)

  it("P85, P86: without shield what is queued is dropped, what runs interrupted; both told",
    function()
      local server, gate = start()
      get(server, "/queue", gate)
      noted(server, "queued1 begins")
      begin_stop(server)
      expect_end(server, 0)
      assert.is_nil(find_note(server, "queued1 ends"))
      assert.is_nil(find_note(server, "queued2 begins"))
      local line = server:log():match "info  tasks (scheduled=3 [^\n]*)"
      assert.is_truthy(line:find "cancelled=3 ", server:log())
      assert.is_truthy(line:find("3 x compute at its pool", 1, true), line)
    end)

  it("P87: on_error of a shielded task runs to its end, plain or blocking", function()
    local server, gate = start()
    get(server, "/failing", gate)
    for _, name in ipairs { "plain", "blocking" } do noted(server, name .. " begins") end
    begin_stop(server)
    open(gate)
    expect_end(server, 0)
    for _, name in ipairs { "plain", "blocking" } do
      assert.is_truthy(find_note(server, ("on_error of %s ends"):format(name)), server:log())
    end
  end)

  it("P88: a shielded task that does not end is interrupted at last, by name; exit 1", function()
    local server, gate = start("--shutdown-timeout", "0.3")
    get(server, "/timings", gate)
    noted(server, "after_response begins")
    begin_stop(server)
    expect_end(server, 1)
    local log = server:log()
    assert.is_truthy(log:find("task interrupted: [^\n]*task=wait_at "), log)
    assert.is_truthy(log:find("task interrupted: .-app.lua:%d+: "), log)
    server, gate = start("--shutdown-timeout", "1000")
    get(server, "/timings", gate)
    noted(server, "after_response begins")
    begin_stop(server)
    server:signal "TERM"
    expect_end(server, 1)
  end)

  it("P89: a shield is none against errors and a kill", function()
    local server, gate = start()
    get(server, "/failing", gate)
    noted(server, "plain begins")
    open(gate)
    wait.for_log(server, "(task failed) task=fail_at")
    get(server, "/timings", gate .. ".never")
    assert.equal(137, server:kill())
    assert.is_nil(find_note(server, "now ends"))
  end)

  it("P90: too many shielded tasks are warned of", function()
    local server = start()
    get(server, "/many")
    assert.equal("1001", wait.for_log(server, "many tasks are shielded shielded=(%d+)"))
  end)

  it("P92: requests that are still answered may schedule; afterwards it is an error", function()
    local server, gate = start()
    local request = async.spawn(server.get, server, "/handler", { query = { gate = gate } })
    get(server, "/late")
    noted(server, "handler begins")
    noted(server, "late begins")
    begin_stop(server)
    open(gate)
    open(gate .. ".shielded")
    assert.equal("answered", request:wait().body)
    expect_end(server, 0)
    assert.is_truthy(find_note(server, "scheduled while draining"), server:log())
    assert.is_truthy(find_note(server, "refused: stopping"), server:log())
  end)
end)
