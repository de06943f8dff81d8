-- chat_spec.lua - the chat, over HTTP: what is said, who waits, who says too much.
--
-- Run by ./perilune test, or by `perilune test apps/chat`.

local async = require "perilune.async"
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

it("slows down who says too much", function()
  for _ = 1, 20 do assert.equal(201, say("tea", "x").status) end
  local res = say("tea", "x")
  assert.equal(429, res.status)
  assert.is_true(tonumber(res.headers["retry-after"]) <= 10)
end)
