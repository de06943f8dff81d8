-- test.lua - `require "perilune.test"`: an app under test, served in this process over real HTTP.
--
-- The app is loaded fresh into the spec's own state, so stand-ins and counters in upvalues work;
-- its blocking functions run on a pool of its own. One client at a time.

local app_module = require "perilune.app"
local async = require "perilune.async"
local check = require "perilune.check"
local http = require "perilune.http"
local native = require "perilune.native.service"
local runner = require "perilune.runner"

local test = {}

local Client = { __name = "client" }
Client.__index = Client

local POLL_SECONDS = 0.001
local CLOSE_SECONDS = 5

local function absolute(dir)
  if dir:sub(1, 1) == "/" then return dir end
  return runner.dir .. "/" .. dir
end

--- Serves an app (default: the one under test) on a free loopback port.
---@param dir string|nil its directory, relative to the one under test
---@return table client
---@usage local client = test.client()
function test.client(dir)
  if dir ~= nil then check.type("test.client", 1, dir, "string", "an app's directory") end
  local service = native.open(dir and absolute(dir) or runner.dir)
  local ok, app = pcall(app_module.load_directory)
  local port
  if ok then ok, port = pcall(service.serve, service, app) end
  if not ok then
    service:destroy()
    error(app == nil and "the app did not load" or port or app, 0)
  end
  return setmetatable({
    app = app, port = port, url = ("http://127.0.0.1:%d"):format(port), service = service,
  }, Client)
end

for _, method in ipairs { "get", "post", "put", "patch", "delete", "head", "options" } do
  if http[method] then
    Client[method] = function(self, path, options)
      check.self(self, Client, method)
      return http[method](self.url .. path, options)
    end
  end
end

--- Stops serving: connections are closed, the pools end.
function Client:close()
  check.self(self, Client, "close")
  if not self.service then return end
  local service = self.service
  self.service = nil
  service:close()
  local limit = async.now() + CLOSE_SECONDS
  while not service:is_idle() do
    if async.now() > limit then error("requests of this client are still running", 0) end
    async.sleep(POLL_SECONDS)
  end
  service:destroy()
end

return test
