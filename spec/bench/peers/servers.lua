-- servers.lua - Perilune and its peers, started on free ports of the loopback.
--
-- start_all() gives a list of { name, port, stop } and the names of what is not installed.
-- nginx reads every body to its end by handing it to a second server of its own. Who starts them
-- stops them; each is ended by its own process id.

local program = require "support.program"
local server = require "support.server"
local socket = require "socket"

local START_LIMIT_S = 10

local NGINX_CONF = [[
daemon off; master_process off; pid DIR/nginx.pid; error_log DIR/error.log;
events { worker_connections 512; }
http {
  access_log off;
  client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
  uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
  server { listen unix:DIR/behind.sock; location / { return 200 hello; } }
  server {
    listen 127.0.0.1:PORT;
    client_max_body_size 10m;
    location / { proxy_pass http://unix:DIR/behind.sock:/; }
  }
}
]]

local servers = {}

local function has_command(name)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(name)) == true
end

local function free_port()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  listener:close()
  return math.tointeger(tonumber(port))
end

local function is_listening(port)
  local tcp <close> = setmetatable({ tcp = assert(socket.tcp4()) }, {
    __close = function(self) self.tcp:close() end })
  return tcp.tcp:connect("127.0.0.1", port) ~= nil
end

local function start_perilune()
  local site = server.start "spec/apps/strict"
  return { name = "Perilune", port = site.port, stop = function() site:stop() end }
end

local function start_nginx()
  local dir, port = program.make_directory(), free_port()
  local conf = assert(io.open(dir .. "/nginx.conf", "w"))
  conf:write((NGINX_CONF:gsub("DIR", dir):gsub("PORT", tostring(port))))
  conf:close()
  local pipe = assert(io.popen(("echo $$; exec nginx -p '%s' -c '%s/nginx.conf' 2>'%s/out'"):format(
    dir, dir, dir)))
  local pid = pipe:read "n"
  local peer = { name = "nginx", port = port }
  function peer.stop()
    os.execute("kill " .. pid)
    pipe:close()
    os.execute("rm -rf '" .. dir .. "'")
  end
  if not program.wait(START_LIMIT_S, function() return is_listening(port) end) then
    local problem = program.read(dir .. "/out")
    peer.stop()
    error("nginx does not listen: " .. problem)
  end
  return peer
end

local function start_node()
  local script = program.root() .. "/spec/bench/peers/echo.js"
  local pipe = assert(io.popen(("echo $$; exec node '%s' </dev/null"):format(script)))
  local pid, port = pipe:read("n", "n")
  if not port then error "Node does not listen" end
  local peer = { name = "Node", port = math.tointeger(port) }
  function peer.stop()
    os.execute("kill " .. pid)
    pipe:close()
  end
  return peer
end

local function start_peers(list, missing)
  list[1] = start_perilune()
  for _, peer in ipairs { { "nginx", start_nginx }, { "node", start_node } } do
    local command, start = peer[1], peer[2]
    if has_command(command) then list[#list + 1] = start() else missing[#missing + 1] = command end
  end
end

--- Starts what is installed: the servers, Perilune first, and the names of those that are not.
function servers.start_all()
  local list, missing = {}, {}
  local ok, problem = pcall(start_peers, list, missing)
  if not ok then
    servers.stop_all(list)
    error(problem, 0)
  end
  return list, missing
end

function servers.stop_all(list)
  for _, peer in ipairs(list) do peer.stop() end
end

return servers
