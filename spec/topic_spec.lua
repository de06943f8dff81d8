-- topic_spec.lua - perilune.topic in server processes with two workers.
--
-- Events are read from raw connections. Connections are spread over the workers by the kernel: many
-- are made, so that both get some.

local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local LIMIT_S = 30

local server, connections

before_each(function()
  connections = {}
  server = site.start("topic", { "--workers", "2" })
end)
after_each(function()
  for _, connection in ipairs(connections) do connection:close() end
  server:kill()
end)

local function follow(path)
  local connection = raw.connect(server.port)
  connection:send("GET " .. path .. " HTTP/1.1\r\nHost: h\r\n\r\n")
  connections[#connections + 1] = connection
  return connection
end

local function await_count(name, count)
  wait.wait_until(function() return site.json(server, "/count/" .. name).count == count end)
end

--- What a connection has got so far.
local function hear(connection)
  connection.tcp:settimeout(0)
  local bytes, _, part = connection.tcp:receive(65536)
  connection.heard = (connection.heard or "") .. (bytes or part or "")
  return connection.heard
end

--- Publishes until every connection has got an event: each has subscribed then.
local function publish_until_all_hear()
  wait.wait_until(function()
    server:get "/publish/news?who=first"
    for _, connection in ipairs(connections) do
      if not hear(connection):find "first" then return false end
    end
    return true
  end, LIMIT_S)
end

it("brings events to the clients of both workers and of pool threads", function()
  for i = 1, 20 do follow(i % 5 == 0 and "/events_blocking/news" or "/events/news") end
  await_count("news", 20)
  publish_until_all_hear()
  server:get "/publish_blocking/news?n=3&who=last"
  for _, connection in ipairs(connections) do
    wait.wait_until(function() return hear(connection):find '"number":3' end)
    local numbers = {}
    for event in connection.heard:gmatch "data: ({[^\n]*last[^\n]*})" do
      numbers[#numbers + 1] = event:match '"number":(%d+)'
    end
    assert.same({ "1", "2", "3" }, numbers)
  end
end)

it("ends the subscription of a client that has left", function()
  for _ = 1, 6 do follow "/events/news" end
  await_count("news", 6)
  publish_until_all_hear()
  for i = 1, 3 do connections[i]:close() end
  await_count("ended", 3)
  connections = { table.unpack(connections, 4) }
  for _, connection in ipairs(connections) do connection.heard = "" end
  publish_until_all_hear()
end)

it("ends all of them when the server stops", function()
  for i = 1, 10 do follow(i % 5 == 0 and "/events_blocking/news" or "/events/news") end
  await_count("news", 10)
  publish_until_all_hear()
  assert.equal(0, server:stop())
  assert.is_nil(server:log():find("error", 1, true), server:log())
end)
