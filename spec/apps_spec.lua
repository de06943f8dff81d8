-- apps_spec.lua - what the pages of the tutorial show in the log of a server.
--
-- The specs of each app see its answers; what a served app makes the watchdog say is looked for
-- here, at the place that the app's own text names.

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
