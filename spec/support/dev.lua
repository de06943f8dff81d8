-- dev.lua - `perilune dev` as specs use it: an app in a directory of its own that they change.
--
-- dev.start(files) waits until it listens. Each change is awaited by what it does, never by time.

local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local dev = {}
dev.__index = dev

local LIMIT_S = 30
local HEAD = 'local perilune = require "perilune"\nlocal app = perilune.app {}\n'

--- The text of an app.lua whose body is given.
function dev.app(body)
  return HEAD .. body .. "\nreturn app\n"
end

---@param files table name -> text; app.lua may be a body for dev.app
---@param options? string[]
function dev.start(files, options)
  local self = setmetatable({ dir = program.make_directory(files) }, dev)
  local words = { program.binary(), "dev", self.dir, "--port", "0" }
  table.move(options or {}, 1, #(options or {}), #words + 1, words)
  self.server = server.launch(program.quote(words))
  self.server:wait_listening()
  self.port = self.server.port
  return self
end

function dev:log() return self.server:log() end

function dev:write(name, text) program.write(self.dir .. "/" .. name, text) end

--- How often something is in the log.
function dev:count(pattern) return select(2, self:log():gsub(pattern, "")) end

--- Makes a change, and waits until the pattern is once more in the log.
function dev:change(pattern, fn, ...)
  local before = self:count(pattern)
  fn(...)
  local found = program.wait(LIMIT_S, function() return self:count(pattern) > before end)
  if not found then error(("no %q in the log:\n%s"):format(pattern, self:log()), 2) end
end

--- Writes a file and waits for the new version.
function dev:reload(name, text)
  self:change("reloaded\n", self.write, self, name, text)
end

--- Writes a file and waits until it is told why it does not load.
function dev:break_with(name, text)
  self:change("\nperilune: ", self.write, self, name, text)
end

--- A request on a connection of its own, or on the one given.
function dev:get(path, headers, client)
  local own = client or raw.connect(self.port)
  local lines = { ("GET %s HTTP/1.1"):format(path), "Host: h" }
  for _, line in ipairs(headers or {}) do lines[#lines + 1] = line end
  own:send(table.concat(lines, "\r\n") .. "\r\n\r\n")
  local response = own:receive_response()
  if not client then own:close() end
  return response
end

--- Asks until the answer has that body.
function dev:wait_body(path, body)
  local last
  local found = program.wait(LIMIT_S, function()
    last = self:get(path).body
    return last == body
  end)
  if not found then error(("%s gives %q, not %q"):format(path, last, body), 2) end
end

--- Ends it as ^C does; gives the exit code and the log.
function dev:stop(signal)
  local code = self.server:stop(signal or "INT")
  local log = self.server:log()
  self:remove()
  return code, log
end

function dev:remove()
  if not self.dir then return end
  program.remove_directory(self.dir)
  self.dir = nil
end

--- Ends it whatever it does.
function dev:kill()
  self.server:kill()
  self:remove()
end

return dev
