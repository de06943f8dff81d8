-- beside.lua - for the specs of other apps: this app, served in a process of its own meanwhile.
--
-- A test client is one at a time, so the services run beside it as they do outside of specs. The
-- process is a task's: it ends when that is cancelled, whatever becomes of the spec.

local async = require "perilune.async"
local fs = require "perilune.fs"
local http = require "perilune.http"
local process = require "perilune.process"

local LIMIT_S = 60

local beside = {}

local Services = {}
Services.__index = Services

--- Starts the services on a free port and waits until they listen.
---@param dir string this directory
---@return table services { url = ... }; :get(path), :received(), :close()
function beside.start(dir)
  local log = os.tmpname()
  local program = fs.stat("/proc/self/exe", { follow = false }).target
  local task = async.spawn(process.run, {
    "sh", "-c", 'exec "$0" serve "$1" --port 0 --log-format text 2>"$2"', program, dir, log,
  })
  local self = setmetatable({ task = task, log = log }, Services)
  async.timeout(LIMIT_S, function()
    repeat
      async.sleep(0.01)
      self.url = fs.read(log):match "listening url=(%S+)"
    until self.url or task.status ~= "running"
  end)
  return self.url and self or error("the services do not start: " .. fs.read(log), 2)
end

function Services:get(path) return http.get(self.url .. path) end

--- Waits until so many messages of a kind have come: the last of them.
function Services:wait_for(kind, count)
  return async.timeout(LIMIT_S, function()
    while true do
      local found = {}
      for _, row in ipairs(self:get("/received"):json().received) do
        if row.kind == kind then found[#found + 1] = row.message end
      end
      if #found >= count then return found[#found] end
      async.sleep(0.01)
    end
  end)
end

function Services:close()
  self.task:cancel()
  pcall(self.task.wait, self.task)
  fs.remove(self.log)
end

return beside
