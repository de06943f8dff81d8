-- tasks_load_spec.lua - a million tasks through one worker, and more than it may have.
--
-- Numbers are smaller where a sanitizer or the stress build makes each task slow, and memory is
-- measured only where freed memory is given back. spec/apps/tasks_load counts what runs.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local http = require "perilune.http"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local is_slow = (os.getenv "SANITIZE" or "") ~= "" or os.getenv "STRESS" == "1"
local SMALL, SMALL_BURSTS = is_slow and 100 or 2000, is_slow and 10 or 450
local LARGE = is_slow and 1000 or 50000

local server, admin

before_each(function()
  server = site.start("tasks_load", { "--workers", "1", "--admin", "127.0.0.1:0",
    "--max-tasks", tostring(LARGE) })
  admin = "http://" .. wait.for_log(server, "admin[^\n]-(127%.0%.0%.1:%d+)")
end)
after_each(function() server:kill() end)

--- Waits until a metric has a value: it is published at the end of a turn.
local function until_metric(pattern, value)
  wait.wait_until(function()
    local found = http.get(admin .. "/-/metrics").body:match("\n" .. pattern .. " (%d+)")
    return tonumber(found) == value
  end, nil, pattern .. " " .. value)
end

local function run_burst(count)
  assert.equal(204, server:get("/burst?count=" .. count).status)
  assert.same({ ran = count, repeated = 0, seen = count }, site.json(server, "/ended"))
end

--- KiB of the worker's Lua state, and of the process.
local function used()
  local count = site.json(server, "/memory").count
  local text = program.read(("/proc/%d/status"):format(server.pid))
  return count, tonumber(text:match "VmRSS:%s+(%d+) kB")
end

describe("a worker", function()
  it("runs a million tasks in bursts once each, and has its memory back", function()
    local at_first = used()
    run_burst(LARGE)
    local count, size = used()
    assert.is_true(count - at_first < 4096, ("%.0f KiB, then %.0f"):format(at_first, count))
    for _ = 1, SMALL_BURSTS do run_burst(SMALL) end
    run_burst(LARGE)
    local last_count, last_size = used()
    assert.is_true(last_count - count < 512, ("%.0f KiB, then %.0f"):format(count, last_count))
    if not is_slow then
      assert.is_true(last_size - size < 8192, ("%d KiB, then %d"):format(size, last_size))
    end
    local total = 2 * LARGE + SMALL_BURSTS * SMALL
    until_metric("perilune_tasks_scheduled_total{[^}]*}", total)
    until_metric('perilune_tasks_ended_total{[^}]*end="done"}', total)
  end)

  it("refuses what is too much with kind full: counts all, and logs it once a second", function()
    local refused = 500
    for round = 1, 2 do
      assert.same({ scheduled = LARGE, kinds = { full = refused } },
        site.json(server, "/refused?count=" .. LARGE + refused))
      until_metric("perilune_tasks_refused_total{[^}]*}", round * refused)
    end
    local _, lines = server:log():gsub("tasks refused: too many have not ended", "")
    assert.is_true(lines == 1 or lines == 2, server:log())
  end)
end)
