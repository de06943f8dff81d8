-- test_clients_spec.lua - several test clients that are open at once in one spec.
--
-- What each app has is its own: upvalues, modules, settings, shared tables, pools, tasks, its end.

local async = require "perilune.async"
local test = require "perilune.test"

local APP = "apps/twins"

describe("two test clients", function()
  local red, blue

  local function open(options)
    red = test.client(APP, { settings = { color = "red" }, clock = options and options.clock })
    blue = test.client(APP, { settings = { color = "blue" }, clock = options and options.clock })
  end

  after_each(function()
    if red then red:close() end
    if blue then blue:close() end
    red, blue = nil, nil
  end)

  local function get(client, path) return client:get(path):raise_for_status():json() end

  it("have apps, modules and shared tables of their own", function()
    open()
    for i = 1, 3 do
      assert.same({ requests = i, module = i, shared = i }, get(red, "/count"))
    end
    assert.same({ requests = 1, module = 1, shared = 1 }, get(blue, "/count"))
  end)

  it("call functions of their own pools, with their own settings", function()
    open()
    local results = async.gather {
      red = { get, red, "/double/4" }, blue = { get, blue, "/double/5" } }
    assert.same({ result = 8, color = "red", here = "red" }, results.red)
    assert.same({ result = 10, color = "blue", here = "blue" }, results.blue)
  end)

  it("load a module each, also in the same moment", function()
    open()
    local calls = {}
    for i = 1, 20 do calls[i] = { get, i % 2 == 0 and red or blue, "/late" } end
    local counts = { {}, {} }
    for i, result in ipairs(async.gather(calls)) do
      table.insert(counts[i % 2 + 1], result.late)
    end
    for _, list in ipairs(counts) do
      table.sort(list)
      assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, list)
    end
  end)

  it("find their own functions when pool threads schedule them", function()
    open()
    async.gather({ red.get, red, "/nested?text=r" }, { blue.get, blue, "/nested?text=b" })
    red:finish_tasks()
    blue:finish_tasks()
    assert.same({ "r" }, get(red, "/notes"))
    assert.same({ "b" }, get(blue, "/notes"))
  end)

  it("may be opened at the same time", function()
    red, blue = async.gather({ test.client, APP, { settings = { color = "red" } } },
      { test.client, APP, { settings = { color = "blue" } } })
    assert.same({ result = 2, color = "red", here = "red" }, get(red, "/double/1"))
    assert.same({ result = 2, color = "blue", here = "blue" }, get(blue, "/double/1"))
  end)

  it("go on when another one is closed, whichever was first", function()
    open()
    get(red, "/count")
    red:close()
    assert.equal(1, get(blue, "/count").module)
    red = test.client(APP)
    assert.equal(1, get(red, "/count").module)
    assert.equal(1, get(red, "/late").late)
    blue:close()
    assert.equal(2, get(red, "/count").module)
    assert.equal(2, get(red, "/late").late)
  end)

  it("show the spec the modules of the one that was opened last", function()
    open()
    assert.equal(1, require("counter").add())
    assert.equal(2, get(blue, "/count").module)
    assert.equal(1, get(red, "/count").module)
    blue:close()
    assert.equal(2, require("counter").add())
    assert.equal(3, get(red, "/count").module)
  end)

  it("see the schedule of their own app, and end alone", function()
    open { clock = "auto" }
    red:post "/slow"
    blue:post "/slow"
    blue:post "/slow"
    assert.task_scheduled(red, "slow")
    assert.same({ 1, 2 }, { #red.scheduled, #blue.scheduled })
    local totals = red:shutdown()
    assert.same({ 1, 1 }, { totals.scheduled, totals.cancelled })
    assert.equal("running", blue.scheduled[1].status)
    blue:post "/slow"
    blue:finish_tasks()
    totals = blue:shutdown()
    assert.same({ 3, 3, 0 }, { totals.scheduled, totals.done, totals.cancelled })
  end)

  it("share one clock", function()
    open { clock = "virtual" }
    local begun = red.clock:now()
    blue.clock:advance(60)
    assert.equal(begun + 60, red.clock:now())
    local ok, err = pcall(test.client, APP, { clock = "auto" })
    assert.is_false(ok)
    assert.matches('a test client with clock = "virtual" is open', tostring(err), 1, true)
    red:close()
    assert.equal(begun + 60, blue.clock:now())
    blue.clock:advance(1)
    assert.equal(begun + 61, blue.clock:now())
  end)

  it("leave the environment as it was, in whatever order they are closed", function()
    local first = test.client(APP, { env = { TWINS_COLOR = "red" } })
    local second = test.client(APP, { env = { TWINS_COLOR = "blue" } })
    assert.equal("blue", first:get("/variable").body)
    first:close()
    assert.equal("blue", second:get("/variable").body)
    second:close()
    assert.is_nil(os.getenv "TWINS_COLOR")
  end)
end)
