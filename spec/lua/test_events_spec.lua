-- test_events_spec.lua - client:events(path), and runs in the order of a seed.
--
-- Runs apps/testing on clocks that move by themselves, so that no event is waited for in reality;
-- and specs of its own as a run of its own.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local program = require "support.program"
local test = require "perilune.test"

describe("events of a test client", function()
  local client

  setup(function() client = test.client("apps/testing", { clock = "auto" }) end)
  teardown(function() client:close() end)

  it("come one by one, as they are sent", function()
    local before, seen = client.clock:now(), {}
    for event in client:events "/feed" do
      event.at = client.clock:now() - before
      seen[#seen + 1] = event
    end
    assert.same({
      { event = "message", id = "1", data = '{"number":1}', retry = 1000, at = 0 },
      { event = "second", id = "2", data = '{"number":2}', retry = 2000, at = 60 },
      { event = "message", id = "3", data = '{"number":3}', retry = 3000, at = 120 },
    }, seen)
  end)

  it("end with the loop that reads them", function()
    local count = 0
    for event in client:events "/endless" do
      assert.equal("line one\nline two", event.data)
      count = count + 1
      if count == 3 then break end
    end
    async.sleep(5)
    assert.is_false(client:get("/is_feeding"):json().is_feeding)
  end)

  it("are read in whatever pieces they come", function()
    local seen = {}
    local pieces = { "\u{FEFF}da", "ta: a\r", "\ndata:b\n: comment\n",
      "\nevent: x\n\nid: 7\ndata\n", "\n", "data: c\rdata: d\r\rdata: lost" }
    local query = { piece = pieces }
    for event in client:events("/raw", { query = query }) do seen[#seen + 1] = event end
    assert.same({ { event = "message", data = "a\nb" }, { event = "message", data = "", id = "7" },
      { event = "message", data = "c\nd", id = "7" } }, seen)
  end)

  it("are those of an event stream alone", function()
    for path, text in pairs { ["/echo"] = "/echo answers 200 with application/json",
      ["/nowhere"] = "/nowhere answers 404 with" } do
      local ok, err = pcall(client.events, client, path)
      assert.is_false(ok)
      assert.matches(text, err, 1, true)
    end
  end)
end)

--- The stress build has an order of its own where no seed says one.
local keeps_order = os.getenv "STRESS" ~= "1"

--- Wakes eight tasks at once.
local WAKE = [[
local async = require "perilune.async"
local function wake()
  local event, woken, tasks = async.event(), {}, {}
  for i = 1, 8 do
    tasks[i] = async.spawn(function()
      event:wait()
      woken[#woken + 1] = i
    end)
  end
  async.sleep(0.001)
  event:set()
  async.gather(table.unpack(tasks))
  return table.concat(woken, " ")
end
]]

local SPECS = WAKE .. [[
local order = {}
describe("these", function()
  for i = 1, 8 do it("spec " .. i, function() order[#order + 1] = i end) end
end)
describe("and", function()
  it("tasks in an order of the seed", function()
    print("order", table.concat(order, " "), "woken", wake())
    assert.equal(1, FAILS)
  end)
end)
]]

--- An app whose pool threads, and whose loop, wake tasks.
local SHUFFLED_APP = WAKE .. [[
local perilune = require "perilune"
local app = perilune.app { pools = { default = { threads = 1 } } }
app:get("/here", function() return wake() end)
app:get("/pool", perilune.blocking(function() return wake() end))
local on_loop = perilune.background("rings", function() return wake() end)
app:get("/loop", function() return on_loop() end)
return app
]]

local SHUFFLED_SPEC = [[
local test = require "perilune.test"
it("asks", function()
  local client = test.client()
  for _, where in ipairs { "here", "pool", "loop" } do
    print(where .. ": " .. client:get("/" .. where).body)
  end
  client:close()
  assert.equal("FAILS", os.getenv "RUN_FAILS" or "FAILS")
end)
]]

describe("perilune test --seed, in an app", function()
  local directory

  setup(function()
    directory = program.make_directory { ["app.lua"] = SHUFFLED_APP,
      ["spec/shuffled_spec.lua"] = SHUFFLED_SPEC }
  end)
  teardown(function() program.remove_directory(directory) end)

  local function run(words, environment)
    local result = program.run({ "test", directory, "-o", "TAP", table.unpack(words) }, environment)
    local orders = {}
    for where, order in result.out:gmatch "(%l+): ([%d ]+)\n" do
      orders[where] = orders[where] or {}
      table.insert(orders[where], order)
    end
    return orders, result
  end

  it("orders what pool threads and background loops wake, each in its own way", function()
    local plain = run {}
    local orders = run { "--seed", "7" }
    for _, where in ipairs { "here", "pool", "loop" } do
      if keeps_order then assert.same({ "1 2 3 4 5 6 7 8" }, plain[where]) end
      assert.not_same(plain[where], orders[where])
    end
    assert.not_same(orders.here, orders.pool)
    assert.not_same(orders.pool, orders.loop)
    local again = run { "--seed", "7" }
    assert.same({ orders.pool, orders.loop }, { again.pool, again.loop })
  end)

  it("gives each run of --repeat a seed of its own, and tells those that failed", function()
    local orders, result = run({ "--seed", "7", "--repeat", "2" }, { "RUN_FAILS=yes" })
    assert.not_equal(orders.pool[1], orders.pool[2])
    assert.matches("the same order again: --seed 7\nthe same order again: --seed 8\n", result.out,
      1, true)
    assert.same({ orders.loop[2] }, run({ "--seed", "8" }).loop)
  end)
end)

describe("perilune test --seed", function()
  local function run(seed, fails)
    local directory = program.make_directory { ["seed_spec.lua"] = SPECS:gsub("FAILS", fails) }
    local words = { "test", directory, "-o", "TAP" }
    if seed then table.move({ "--seed", tostring(seed) }, 1, 2, #words + 1, words) end
    local result = program.run(words)
    program.remove_directory(directory)
    return result, result.out:match "order\t([%d ]*)\twoken\t([%d ]*)"
  end

  it("gives one order of specs and of tasks for each seed", function()
    local _, order, woken = run(7, 1)
    local _, order_again, woken_again = run(7, 1)
    local _, plain_order, plain_woken = run(nil, 1)
    assert.equal(order, order_again)
    assert.equal(woken, woken_again)
    assert.equal("1 2 3 4 5 6 7 8", plain_order)
    if keeps_order then assert.equal("1 2 3 4 5 6 7 8", plain_woken) end
    assert.not_equal(plain_order, order)
    assert.not_equal(plain_woken, woken)
  end)

  it("is told when a spec fails", function()
    local result = run(7, 2)
    assert.equal(1, result.code)
    assert.matches("the same order again: --seed 7\n", result.out, 1, true)
    assert.not_matches("--seed", run(nil, 2).out, 1, true)
  end)
end)
