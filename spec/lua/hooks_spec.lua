-- hooks_spec.lua - on_start, on_stop, on_worker, on_state and every, with a test client.
--
-- spec/apps/hooks runs in the spec's own state; apps that fail are made here, and note what happens
-- in the module "hooks_probe". How hooks go with several workers, signals and exit codes is asked
-- of server processes in spec/hooks_spec.lua, when `every` runs in spec/c/every_spec.c.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local program = require "support.program"
local site = require "support.site"
local test = require "perilune.test"
local wait = require "support.wait"

local probe = { events = {} }
local directories, clients, paths = {}, {}, {}

setup(function() package.loaded.hooks_probe = probe end)
teardown(function() package.loaded.hooks_probe = nil end)

before_each(function() probe.events = {} end)
after_each(function()
  while #clients > 0 do
    local client = table.remove(clients)
    pcall(client.close, client) -- what on_stop raises is the business of the spec
  end
  while #directories > 0 do program.remove_directory(table.remove(directories)) end
  while #paths > 0 do os.remove(table.remove(paths)) end
end)

local HEAD = [[
local async = require "perilune.async"
local perilune = require "perilune"
local app = perilune.app { name = "made" }
local probe = package.loaded.hooks_probe or { events = {} }
local function note(event) probe.events[#probe.events + 1] = event end
]]
local HEAD_LINES = select(2, HEAD:gsub("\n", "\n"))

--- A client of an app with that text, which is closed when the spec ends.
local function open(text)
  local directory = program.make_directory { ["app.lua"] = HEAD .. text .. "\nreturn app\n" }
  directories[#directories + 1] = directory
  local client = test.client(directory)
  clients[#clients + 1] = client
  return client
end

--- Opens what fails at its start; gives the error.
local function open_failing(text)
  local ok, err = pcall(open, text)
  assert.is_false(ok)
  return err
end

local function until_noted(event)
  wait.wait_until(function()
    for _, noted in ipairs(probe.events) do
      if noted == event then return true end
    end
  end, nil, event)
end

local function expect_text(text, part)
  assert.is_truthy(tostring(text):find(part, 1, true), tostring(text))
end

describe("hooks of an app and those mounted in it", function()
  local client, before, events

  setup(function()
    client = site.open "hooks"
    events = client.app.events
    before = table.move(events, 1, #events, 1, {})
  end)
  teardown(function() client:close() end)

  it("run in their order before the client is there", function()
    assert.same({
      "outer state http http 1", "outer state 2 http http 1", "inner state http http 1",
      "outer start 1", "outer start 1 ended", "inner start", "innermost start",
      "outer worker", "inner worker",
    }, table.move(before, 1, 9, 1, {}))
  end)

  it("may leave tasks behind, which go on", function()
    wait.wait_until(function()
      for _, event in ipairs(events) do
        if event == "spawned by a worker" then return true end
      end
    end)
  end)

  it("say which state of a pool it is", function()
    assert.same({ role = "pool", name = "default", index = 1 }, client:get("/where"):json())
    for i = 1, 2 do
      paths[i] = os.tmpname()
      os.remove(paths[i])
    end
    local one, two = async.gather({ client.app.meet, paths[1], paths[2] },
      { client.app.meet, paths[2], paths[1] })
    assert.same({ "default", "default", 3 }, { one.name, two.name, one.index + two.index })
  end)

  it("leave nothing running in the state of a pool", function()
    assert.same({ begun = true, ended = true }, client.app.spawned())
  end)

  it("run again and again, errors or not", function()
    wait.wait_until(function() return client:get("/count"):json().count > 4 end)
  end)

  it("run in reverse order at the end, when every task has ended", function()
    assert.equal(202, client:post("/task").status)
    wait.wait_until(function() return events[#events] == "task begun" end)
    local first = #events + 1
    client:close()
    assert.same({
      "task ended", "innermost stop", "inner stop", "outer stop 2 pool", "outer stop 1",
    }, table.move(events, first, #events, 1, {}))
    client:close()
    assert.equal("outer stop 1", events[#events])
    assert.equal(first + 4, #events)
  end)
end)

describe("a hook", function()
  it("may do what a handler may", function()
    local client = open [[
local add = perilune.blocking(function(a, b) return a + b end)
app:on_start(function()
  note("blocking " .. add(1, 2))
  note("gathered " .. async.gather(function() async.sleep(0.001) return "x" end))
  note("timed out " .. select(2, pcall(async.timeout, 0.001, async.sleep, 1000)).kind)
  app.task = async.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() note "task ended" end })
    async.sleep(1000)
  end)
  note("mark " .. tostring((pcall(perilune.blocking, function() end))))
end)
app:on_stop(function() note "stopped" end)]]
    assert.same({ "blocking 3", "gathered x", "timed out timeout", "mark false" }, probe.events)
    assert.equal("running", client.app.task.status)
    client:close()
    assert.same({ "task ended", "stopped" }, { table.unpack(probe.events, 5) })
    assert.equal("cancelled", client.app.task.status)
  end)

  it("may be a blocking function or a table that can be called", function()
    open([[
local where = "nowhere"
app:on_state(function(state) where = state.role end)
app:on_state(setmetatable({}, { __call = function(_, state) note(state.role) end }))
local run = perilune.blocking(function()
  if where ~= "pool" then error("ran in " .. where) end
end)
app:on_start(run)
app:on_worker(run)
app:on_stop(run)]]):close()
    assert.same({ "http" }, probe.events)
  end)

  it("cannot reach the tables that others get", function()
    open [[
app:on_state(function(state) state.role = "changed" end)
app:on_state(function(state) note(state.role) end)
app:on_start(function(...) note(select("#", ...)) end)]]
    assert.same({ "http", 0 }, probe.events)
  end)
end)

describe("an error at the start", function()
  for _, name in ipairs { "on_state", "on_start", "on_worker" } do
    it(("of %s is raised by test.client"):format(name), function()
      local err = open_failing(([[
app:%s(function() note "first" end)
app:%s(function() async.sleep(0.001) error "culprit" end)
app:%s(function() note "never" end)]]):format(name, name, name))
      expect_text(err, ("app.lua:%d: culprit"):format(HEAD_LINES + 2))
      assert.same({ "first" }, probe.events)
      assert.equal("made", open("").app.name) -- all is cleaned up
    end)

    it(("of %s passes as it was raised"):format(name), function()
      probe.error = { code = 7 }
      local err = open_failing(("app:%s(function() error(probe.error) end)"):format(name))
      assert.equal(probe.error, err)
    end)
  end

  it("of a blocking function is that of its state", function()
    expect_text(open_failing "app:on_start(perilune.blocking(function() error 'deep' end))", "deep")
  end)

  it("of kind cancelled is one", function()
    local err = open_failing [[
app:on_start(function()
  local task = async.spawn(async.sleep, 1000)
  task:cancel()
  task:wait()
end)]]
    assert.equal("cancelled", err.kind)
  end)

  it("cancels what was spawned, and runs on_stop once on_start is over", function()
    local text = [[
app:on_start(function()
  async.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() note "task ended" end })
    async.sleep(1000)
  end)
  async.checkpoint()
  %s
end)
app:on_worker(function() error "worker" end)
app:on_stop(function() note "stopped" end)]]
    expect_text(open_failing(text:format "error 'start'"), "start")
    assert.same({ "task ended" }, probe.events)
    expect_text(open_failing(text:format ""), "worker")
    assert.same({ "task ended", "task ended", "stopped" }, probe.events)
  end)
end)

describe("on_stop", function()
  it("that fails does not keep the others from running", function()
    local client = open [[
app:on_stop(function() note "first" end)
app:on_stop(function() error(probe.error) end)
app:on_stop(function() async.sleep(0.001) error "raised first" end)
app:on_stop(function() note "last" end)]]
    local ok, err = pcall(client.close, client)
    assert.is_false(ok)
    expect_text(err, "raised first")
    assert.same({ "last", "first" }, probe.events)
    client:close() -- a second time is harmless
    open("")
  end)

  it("comes after requests in flight, which are waited for", function()
    local client = open [[
app:get("/", function()
  note "begun"
  async.sleep(0.01)
  note "ended"
end)
app:on_stop(function() note "stopped" end)]]
    local request = async.spawn(pcall, client.get, client, "/")
    until_noted "begun"
    client:close()
    request:wait()
    assert.same({ "begun", "ended", "stopped" }, probe.events)
  end)

  it("comes after requests that do not end, which are cancelled and told of", function()
    local client = open [[
app:get("/", function()
  local _ <close> = setmetatable({}, { __close = function() note "ended" end })
  note "begun"
  async.sleep(1000)
end)
app:on_stop(function() note "stopped" end)]]
    local request = async.spawn(pcall, client.get, client, "/")
    until_noted "begun"
    local ok, err = pcall(client.close, client)
    request:wait()
    assert.same({ false, "requests of this client were still running" }, { ok, err })
    assert.same({ "begun", "ended", "stopped" }, probe.events)
    open("")
  end)

  it("comes after blocking functions that were given up", function()
    local client = open [[
local seen = {}
local hold = perilune.blocking(function(begun, ended)
  local command = "sleep 0.05; : >" .. ended -- in one step, which no hook can come between
  local _ <close> = setmetatable({}, { __close = function() os.execute(command) end })
  assert(io.open(begun, "w")):close()
  async.sleep(1000)
end)
app:post("/", function(req) req.tasks:schedule(hold, req.query.begun, req.query.ended) end)
app:on_stop(function() note(io.open(probe.path) ~= nil) end)]]
    for i = 1, 2 do
      paths[i] = os.tmpname()
      os.remove(paths[i])
    end
    probe.path = paths[2]
    client:post("/", { query = { begun = paths[1], ended = paths[2] } })
    wait.wait_until(function()
      local file <close> = io.open(paths[1])
      return file
    end)
    client:close()
    assert.same({ true }, probe.events)
  end)

  it("may call blocking functions, and what it leaves behind is cancelled", function()
    local client = open [[
local add = perilune.blocking(function(a, b) return a + b end)
app:on_stop(function()
  note(add(1, 2))
  async.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() note "task ended" end })
    async.sleep(1000)
  end)
end)]]
    client:close()
    assert.same({ 3, "task ended" }, probe.events)
  end)
end)

describe("on_state in a pool", function()
  local text = [[
app:on_state(function(state)
  if state.role == "pool" then error(%s) end
end)
app.quick = perilune.blocking(function() return "never" end)]]

  it("that fails, fails the calls", function()
    local client = open(text:format '"thread " .. state.index')
    for _ = 1, 2 do
      local ok, err = pcall(client.app.quick)
      assert.is_false(ok)
      expect_text(err, "the app did not load in a pool thread: app:on_state at ")
      assert.is_truthy(err:find "app.lua:%d+ failed: .*app.lua:%d+: thread %d+$", err)
    end
  end)

  it("gets the number of a thread that is gone", function()
    local client = open(text:format '"thread " .. state.index')
    local function index()
      local _, err = pcall(client.app.quick)
      return err:match "thread (%d+)$"
    end
    assert.equal("1", index())
    wait.wait_until(function() return index() == "1" end)
  end)

  it("cannot make marks", function()
    local client = open(text:format 'select(2, pcall(perilune.blocking, print))')
    local _, err = pcall(client.app.quick)
    expect_text(err, "perilune.blocking marks functions while the app loads, not later")
  end)
end)

describe("every", function()
  it("is never two at a time, and ends with the client", function()
    local client = open [[
local running = false
app:every(0.001, function()
  local _ <close> = setmetatable({}, { __close = function() note "ended" end })
  if running then note "two at a time" end
  running = true
  note "begun"
  async.sleep(app.seconds or 0.005)
  running = false
end)]]
    wait.wait_until(function() return #probe.events >= 6 end)
    client.app.seconds = 1000
    wait.wait_until(function() return probe.events[#probe.events] == "begun" end)
    async.sleep(0.01)
    client:close()
    for i, event in ipairs(probe.events) do
      assert.equal(i % 2 == 1 and "begun" or "ended", event)
    end
    local count = #probe.events
    async.sleep(0.01)
    assert.equal(count, #probe.events)
    assert.equal("ended", probe.events[count])
  end)

  it("takes a blocking function", function()
    local path = os.tmpname()
    paths[1] = path
    open(([[
app:every(0.001, perilune.blocking(function()
  local file <close> = assert(io.open(%q, "a"))
  file:write "x"
end))]]):format(path))
    wait.wait_until(function() return #program.read(path) >= 3 end)
  end)
end)

describe("misuse", function()
  --- What the load says of an app with that line.
  local function complaint(line)
    local err = open_failing(line)
    assert.is_truthy(err:find(("app.lua:%d: "):format(HEAD_LINES + 1), 1, true), err)
    return err
  end

  for _, name in ipairs { "on_start", "on_stop", "on_worker", "on_state" } do
    it(("of %s is told at its line"):format(name), function()
      expect_text(complaint(("app.%s(function() end)"):format(name)),
        ("app.%s was called with a dot: use a colon (app:%s)"):format(name, name))
      for _, wrong in ipairs { "", "nil", "7", "'x'", "{}" } do
        expect_text(complaint(("app:%s(%s)"):format(name, wrong)), name .. "'s function is ")
      end
      expect_text(complaint(("app:%s(print, print)"):format(name)),
        name .. " takes one function; call it for each")
    end)
  end

  it("of every is told at its line", function()
    expect_text(complaint "app.every(1, print)", "use a colon (app:every)")
    for _, wrong in ipairs { "0", "-1", "0/0", "'1'", "nil", "print" } do
      expect_text(complaint(("app:every(%s, print)"):format(wrong)),
        "every takes a number of seconds above 0, not ")
    end
    expect_text(complaint "app:every(1)", "every's function is nil, not a function")
    expect_text(complaint "app:every(1, print, print)", "every takes one function")
  end)

  it("of a mark for on_state is told at its line", function()
    expect_text(complaint "app:on_state(perilune.blocking(function() end))",
      "on_state's function cannot be a blocking or background one: it runs")
  end)

  it("of any of them later is an error", function()
    local app = open("").app
    for _, name in ipairs { "on_start", "on_stop", "on_worker", "on_state" } do
      local _, err = pcall(app[name], app, print)
      expect_text(err, name .. " is called while the app loads, not later")
    end
    local _, err = pcall(app.every, app, 1, print)
    expect_text(err, "every is called while the app loads, not later")
  end)
end)
