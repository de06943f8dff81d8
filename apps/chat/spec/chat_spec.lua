-- chat_spec.lua - the chat, over HTTP: what is said, who waits, who says too much.
--
-- Run by ./perilune test, or by `perilune test apps/chat`.

local async = require "perilune.async"
local socket = require "socket"
local test = require "perilune.test"

local client

before_each(function() client = test.client() end)
after_each(function() client:close() end)

local function say(room, text)
  return client:post("/rooms/" .. room, { json = { text = text } })
end

it("keeps the last message of each room", function()
  assert.equal(404, client:get("/rooms/tea").status)
  assert.same({ rooms = {} }, client:get("/rooms"):json())
  assert.equal(201, say("tea", "one").status)
  assert.same({ number = 2, text = "two" }, say("tea", "two"):json())
  say("beer", "cheers")
  assert.same({ number = 2, text = "two" }, client:get("/rooms/tea"):json())
  local rooms = client:get("/rooms"):json().rooms
  table.sort(rooms)
  assert.same({ "beer", "tea" }, rooms)
end)

it("refuses what is no message", function()
  assert.equal(422, say("tea", "").status)
  assert.equal(422, say("tea", ("x"):rep(1001)).status)
  assert.equal(422, client:post("/rooms/tea", { json = "x" }).status)
end)

--- Until a handler waits for that.
local function await_waiting(what)
  while true do
    for _, task in ipairs(async.running()) do
      if task.waits_for == what then return end
    end
    async.sleep(0.001)
  end
end

it("tells who waits for the next message", function()
  local task = async.spawn(client.get, client, "/rooms/tea/next")
  await_waiting "shared:wait"
  say("tea", "hello")
  assert.equal("hello", task:wait():json().text)
end)

it("sends what is said in a room to who follows it", function()
  local connection = socket.connect("127.0.0.1", client.port)
  connection:send "GET /rooms/tea/events HTTP/1.1\r\nHost: h\r\n\r\n"
  await_waiting "subscription:receive"
  say("beer", "cheers")
  say("tea", "hello")
  connection:settimeout(0)
  local heard = ""
  repeat
    async.sleep(0.001)
    local bytes, _, part = connection:receive(4096)
    heard = heard .. (bytes or part)
  until heard:find "hello"
  connection:close()
  assert.is_nil(heard:find "cheers")
  assert.is_truthy(heard:find("id: 1\n", 1, true), heard)
end)

it("slows down who says too much", function()
  for _ = 1, 20 do assert.equal(201, say("tea", "x").status) end
  local res = say("tea", "x")
  assert.equal(429, res.status)
  assert.is_true(tonumber(res.headers["retry-after"]) <= 10)
end)
