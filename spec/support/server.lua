-- server.lua - a real server process for specs: started, looked at, stopped.
--
-- server.start(app_dir, arguments) runs `perilune serve` on a free port of the loopback and returns
-- once it listens. Every wait is for a condition and has a limit. Who starts one stops it: stop()
-- gives the exit code, kill() ends it whatever it does; both remove the log and may come twice.

local program = require "support.program"

local server = {}
server.__index = server
server.__name = "server"

local START_LIMIT_S = 30
local STOP_LIMIT_S = 30
local LISTENING = "listening[^\n]-http://%S-:(%d+)[%s\"]" -- as text or JSON

--- The process has ended; perhaps it waits to be asked for its exit code.
local function has_ended(pid)
  local state = program.read(("/proc/%d/stat"):format(pid)):match "^%d+ %(.*%) (%a)"
  return state == nil or state == "Z"
end

--- Starts a command, as the shell reads it, and does not wait for anything but its process.
---@param command string
function server.launch(command)
  local self = setmetatable({ log_path = os.tmpname() }, server)
  self.pipe = assert(io.popen(("echo $$; exec %s 2>%s </dev/null"):format(command, self.log_path)))
  self.pid = math.tointeger(self.pipe:read "n")
  return self
end

--- Starts `perilune serve`, and does not wait for anything but its process.
---@param app_dir string absolute, or relative to the project's directory
---@param arguments? string[] behind a free port, one worker and a log of text
function server.spawn(app_dir, arguments)
  if app_dir:sub(1, 1) ~= "/" then app_dir = program.root() .. "/" .. app_dir end
  local words = { program.binary(), "serve", app_dir, "--port", "0", "--workers", "1",
    "--log-format", "text" }
  table.move(arguments or {}, 1, #(arguments or {}), #words + 1, words)
  return server.launch(program.quote(words))
end

--- Waits until the server listens: then it has its `port`. Else it is killed, and that is an error.
function server:wait_listening()
  local port = self:wait_log(LISTENING, START_LIMIT_S)
  if not port then
    local log = self:log()
    self:kill()
    error("the server does not listen; its log:\n" .. log, 2)
  end
  self.port = math.tointeger(tonumber(port))
  return self
end

--- Starts `perilune serve` and waits until it listens.
---@param app_dir string absolute, or relative to the project's directory
---@param arguments? string[]
function server.start(app_dir, arguments)
  return server.spawn(app_dir, arguments):wait_listening()
end

--- What it has written to standard error so far.
function server:log()
  return self.final_log or program.read(self.log_path)
end

--- Waits until the log has the pattern: its captures, or nil when the limit has passed or the
--- process has ended without.
---@param limit? number seconds
function server:wait_log(pattern, limit)
  local found = program.wait(limit or START_LIMIT_S, function()
    local is_last_look = self:has_ended()
    local captures = { self:log():match(pattern) }
    return (captures[1] or is_last_look) and captures
  end)
  return table.unpack(found or {})
end

function server:has_ended()
  return self.code ~= nil or has_ended(self.pid)
end

--- Sends a signal: "TERM", "INT", "KILL", ...
function server:signal(name)
  assert(not self.code, "the server has been waited for")
  assert(os.execute(("kill -%s %d"):format(name, self.pid)))
end

--- Waits for its end and gives the exit code; of a signal 128 and its number. A server that does
--- not end in time is killed, and that is an error.
---@param limit? number seconds
function server:wait(limit)
  if self.code then return self.code end
  local is_in_time = program.wait(limit or STOP_LIMIT_S, function() return self:has_ended() end)
  if not is_in_time then self:signal "KILL" end
  local _, kind, code = self.pipe:close()
  self.code = kind == "signal" and 128 + code or code
  self.final_log = program.read(self.log_path)
  os.remove(self.log_path)
  if not is_in_time then error("the server did not end in time; its log:\n" .. self:log(), 2) end
  return self.code
end

--- Sends a signal (TERM unless said) and gives the exit code.
function server:stop(signal, limit)
  if self.code then return self.code end
  self:signal(signal or "TERM")
  return self:wait(limit)
end

--- Ends it at once.
function server:kill()
  return self:stop "KILL"
end

return server
