-- observed.lua - a fixture app as a process, with raw connections to it that are closed again.
--
-- observed.start(name, arguments) gives a server (support.site) with three methods more: connect(),
-- close_connections() for after_each, and until_seen(name). The app tells at its route /seen what
-- has happened in it.

local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local observed = {}

local methods = {}

--- A new raw connection.
function methods:connect()
  local connection = raw.connect(self.port)
  table.insert(self.connections, connection)
  return connection
end

function methods:close_connections()
  while #self.connections > 0 do table.remove(self.connections):close() end
end

--- What the app has noted under a name.
function methods:seen(name)
  return self:get("/seen"):json()[name]
end

--- Waits until it has noted something there, which it gives.
function methods:until_seen(name)
  return wait.wait_until(function() return self:seen(name) end, nil, name)
end

---@param name string of an app in spec/apps
---@param arguments? string[] of `perilune serve`
function observed.start(name, arguments)
  local server = site.start(name, arguments)
  server.connections = {}
  for method, fn in pairs(methods) do server[method] = fn end
  return server
end

return observed
