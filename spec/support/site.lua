-- site.lua - fixture apps of spec/apps for specs of what Lua code sees.
--
-- site.open(name) serves one in the spec's own state (perilune.test), site.start(name) as a process
-- of its own whose log can be read (support.server) and adds get and post to it. Who opens or
-- starts one closes or stops it. An app's state is fresh each time.

local http = require "perilune.http"
local program = require "support.program"
local server = require "support.server"
local test = require "perilune.test"

local site = {}

function site.dir(name)
  return program.root() .. "/spec/apps/" .. name
end

--- A test client of an app.
function site.open(name)
  return test.client(site.dir(name))
end

--- A server process with the app in a directory.
---@param directory string absolute
---@param arguments? string[] of `perilune serve`
function site.start_at(directory, arguments)
  local self = server.start(directory, arguments)
  self.url = ("http://127.0.0.1:%d"):format(self.port)
  for _, method in ipairs { "get", "post" } do
    self[method] = function(_, path, options) return http[method](self.url .. path, options) end
  end
  return self
end

--- A server process with an app of spec/apps.
function site.start(name, arguments)
  return site.start_at(site.dir(name), arguments)
end

--- What a handler's JSON says.
function site.json(client, path, options)
  local res = client:get(path, options)
  if res.status ~= 200 then error(("%s: %d %s"):format(path, res.status, res.body), 2) end
  return res:json()
end

return site
