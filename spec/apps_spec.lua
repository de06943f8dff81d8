-- apps_spec.lua - what the pages of the tutorial show in the log and the metrics of a server.
--
-- The specs of each app see its answers; what a served app makes the watchdog say is looked for
-- here, at the place that the app's own text names. So is how many threads a pool has, in metrics.

local http = require "perilune.http"
local program = require "spec.support.program"
local server = require "spec.support.server"
local wait = require "spec.support.wait"

--- The line of a file that has the text.
local function line_of(path, text)
  local number = 0
  for line in program.read(program.root() .. "/" .. path):gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find(text, 1, true) then return number end
  end
  error(path .. " has no " .. text)
end

local function place(path, text)
  return ("%s:%d"):format(path, line_of(path, text)):gsub("%p", "%%%0")
end

describe("in the log of", function()
  local served

  after_each(function() served:kill() end)

  local function get(path)
    return http.get(("http://127.0.0.1:%d%s"):format(served.port, path))
  end

  it("sync_async is the line that blocks everybody", function()
    served = server.start "apps/sync_async"
    assert.equal(200, get("/trap?seconds=0.5").status)
    wait.for_log(served, "(the event loop is held [^\n]*runs=/trap[^\n]*)")
    wait.for_log(served, "(" .. place("apps/sync_async/app.lua", "os.execute((") .. ")")
  end)

  it("crunch is the line that computes on the loop", function()
    served = server.start "apps/crunch"
    assert.equal(503, get("/in_time?where=loop&rounds=1000000000").status)
    assert.equal(200, get("/loop?rounds=20000000").status)
    wait.for_log(served, "(the event loop is held [^\n]*runs=/loop[^\n]*)")
    wait.for_log(served, "(" .. place("apps/crunch/app.lua", "hash * 31") .. ": in crunch)")
  end)
end)

describe("in the metrics of", function()
  local served, path

  after_each(function()
    served:kill()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  local function post(target, json)
    return http.post(("http://127.0.0.1:%d%s"):format(served.port, target), { json = json })
  end

  --- A number of the admin endpoint.
  local function metric(admin, name)
    local text = http.get(admin .. "/-/metrics").body
    for line in text:gmatch "[^\n]+" do
      local value = line:match("^" .. name:gsub("%p", "%%%0") .. " (%S+)$")
      if value then return tonumber(value) end
    end
  end

  it("orders are payments that queue for 20 threads", function()
    path = os.tmpname()
    served = server.launch(program.quote { "env", "PERILUNE_SETTINGS_DATABASE=" .. path,
      "PERILUNE_SETTINGS_SERVICES=http://127.0.0.1:1", program.binary(), "serve",
      program.root() .. "/apps/orders", "--port", "0", "--admin", "127.0.0.1:0" }):wait_listening()
    local admin = served:wait_log "admin[^\n]-(http://%S-:%d+)"
    local order = { item = "tea", quantity = 1, email = "ann@example.org" }
    for i = 1, 30 do
      assert.equal(201, post("/orders", order).status)
      assert.equal(202, post(("/orders/%d/payment"):format(i)).status)
    end
    wait.wait_until(function()
      return metric(admin, 'perilune_pool_run_seconds_count{pool="payments"}') == 30
    end)
    assert.equal(30, metric(admin, 'perilune_pool_wait_seconds_count{pool="payments"}'))
    assert.is_true(metric(admin, 'perilune_pool_threads{pool="payments"}') <= 20)
  end)
end)
