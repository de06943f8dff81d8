-- hooks_spec.lua - hooks of server processes: order, workers, exit codes, signals.
--
-- What happens is read from the log, where spec/apps/hooks and the apps that are made here note it.
-- Ends have a limit; what is to be in flight at a signal is waited for before.

local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local APP = "spec/apps/hooks"
local AT_ONCE_S = 10 -- far below the limits that would end what hangs

local started, directories, clients = {}, {}, {}

after_each(function()
  while #clients > 0 do table.remove(clients):close() end
  while #started > 0 do table.remove(started):kill() end
  while #directories > 0 do program.remove_directory(table.remove(directories)) end
end)

local HEAD = [[
local async = require "perilune.async"
local log = require "perilune.log"
local perilune = require "perilune"
local app = perilune.app { name = "made" }
local function note(event) log.info("note " .. event) end
]]
local HEAD_LINES = select(2, HEAD:gsub("\n", "\n"))

local function make_app(text)
  local files = { ["app.lua"] = HEAD .. text .. "\nreturn app\n" }
  directories[#directories + 1] = program.make_directory(files)
  return directories[#directories]
end

--- Spawns a server, which is killed at the end unless it has ended.
local function spawn(app, ...)
  started[#started + 1] = server.spawn(app, { ... })
  return started[#started]
end

local function start(app, ...)
  started[#started + 1] = server.start(app, { ... })
  return started[#started]
end

--- A request on a connection of its own.
local function send(to, line)
  clients[#clients + 1] = raw.connect(to.port)
  clients[#clients]:send(line .. " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
  return clients[#clients]
end

--- What has been noted, in order, without what comes at no fixed time.
local function noted(log)
  local events = {}
  for event in log:gmatch "info  note ([^\n]*)" do
    local is_timed = event:find "tick" or event:find "spawned"
    local bare = event:gsub(" task=%S+", ""):gsub(" request=%x+", "")
    if not is_timed then events[#events + 1] = bare end
  end
  return events
end

local function count(log, pattern)
  return select(2, log:gsub(pattern, ""))
end

local function index_of(events, wanted)
  for i, event in ipairs(events) do
    if event == wanted then return i end
  end
  error(("no %q in %s"):format(wanted, table.concat(events, ", ")), 2)
end

local function expect_text(text, part)
  assert.is_truthy(text:find(part, 1, true), text)
end

describe("hooks of a server with several workers", function()
  local log, events

  setup(function()
    local site = start(APP, "--workers", "3")
    site:wait_log "note inner tick in pool"
    assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    log = site:log()
    events = noted(log)
  end)

  it("run in the first worker, on_start once, before anything else is loaded", function()
    assert.same({
      "outer state index=1 name=http role=http", "outer state 2 index=1 name=http role=http",
      "inner state index=1 name=http role=http", "outer start 1", "outer start 1 ended",
      "outer state index=1 name=one role=pool", "outer state 2 index=1 name=one role=pool",
      "inner state index=1 name=one role=pool",
      "outer blocking start index=1 name=one role=pool", "inner start", "innermost start",
      "outer worker", "inner worker",
    }, table.move(events, 1, 13, 1, {}))
    assert.equal(1, count(log, "note outer start 1\n"))
    assert.equal(1, count(log, "note inner start"))
    assert.equal(1, count(log, "note innermost start"))
  end)

  it("run in every worker and state once, before the server listens", function()
    local listening = log:find("listening url", 1, true)
    for index = 1, 3 do
      local line = ("note outer state index=%d name=http role=http"):format(index)
      assert.equal(1, count(log, line))
      assert.is_true(log:find(line, 1, true) < listening)
    end
    assert.equal(3, count(log:sub(1, listening), "note outer worker"))
    assert.equal(3, count(log, "note outer worker"))
    assert.equal(3, count(log, "note inner worker"))
  end)

  it("run again and again in one worker only", function()
    assert.equal(1, count(log, "note inner tick in pool"))
    assert.equal(1, count(log, "task failed task=tick [^\n]*the second tick"))
    expect_text(log, "spec/apps/hooks/app.lua")
  end)

  it("run at the end once, in reverse order", function()
    local stops = {}
    for _, event in ipairs(events) do
      if event:find " stop" then stops[#stops + 1] = event end
    end
    assert.same({ "innermost stop", "inner stop", "outer stop 2 pool", "outer stop 1" }, stops)
    assert.equal(1, count(log, "note outer stop 1"))
    assert.is_true(log:find("stopping signal", 1, true) < log:find("note innermost stop", 1, true))
  end)
end)

describe("a hook that fails", function()
  for _, name in ipairs { "on_state", "on_start", "on_worker" } do
    it(("ends the start with exit code 1: %s"):format(name), function()
      local site = spawn(make_app(([[
app:on_stop(function() note "stopped" end)
app:%s(function()
  async.sleep(0.001)
  error { code = 7 }
end)]]):format(name)), "--workers", "3")
      assert.equal(1, site:wait(AT_ONCE_S), site:log())
      local log = site:log()
      local place = ("%s/app.lua:%d"):format(directories[1], HEAD_LINES + 2)
      expect_text(log, ("perilune: app:%s at %s failed: { code = 7 }\n"):format(name, place))
      expect_text(log, ("error hook failed hook=%s source=%s error=\"{ code = 7 }\"\n")
        :format(name, place))
      local traceback = ("stack traceback:.*app.lua:%d: in "):format(HEAD_LINES + 4)
      assert.is_truthy(log:find(traceback), log)
      assert.is_nil(log:find("listening", 1, true))
      assert.equal(name == "on_worker" and 1 or 0, count(log, "note stopped"))
    end)
  end

  it("in another worker than the first ends the start, and on_stop runs", function()
    local site = spawn(make_app [[
local state
app:on_state(function(it) state = it end)
app:on_start(function() note "started" end)
app:on_worker(function() if state.index == 3 then error "in the third" end end)
app:on_stop(function() note "stopped" end)]], "--workers", "4")
    assert.equal(1, site:wait(AT_ONCE_S), site:log())
    local log = site:log()
    assert.same({ "started", "stopped" }, noted(log))
    assert.equal(1, count(log, "perilune: app:on_worker at [^\n]* failed: [^\n]*in the third\n"))
  end)

  it("at the end has exit code 1, and the others run", function()
    local site = start(make_app [[
app:on_stop(function() note "first" end)
app:on_stop(function() error "second" end)
app:on_stop(function() error "third" end)
app:on_stop(perilune.blocking(function() note "last" end))]], "--workers", "2")
    assert.equal(1, site:stop("TERM", AT_ONCE_S))
    local log = site:log()
    assert.same({ "last", "first" }, noted(log))
    assert.is_truthy(log:find("error hook failed hook=on_stop [^\n]*third.*traceback.*"
      .. "error hook failed hook=on_stop [^\n]*second"), log)
    assert.is_truthy(log:find "perilune: app:on_stop at [^\n]* failed: [^\n]*third\n", log)
  end)

  it("because it holds the event loop too long is ended alone", function()
    local site = start(make_app [[
app:on_stop(function() note "first" end)
app:on_stop(function() while true do end end)]], "--stall-kill", "0.2")
    assert.equal(1, site:stop("TERM", AT_ONCE_S))
    assert.same({ "first" }, noted(site:log()))
    expect_text(site:log(), "than --stall-kill allows")
  end)

  it("with a text that has several lines is told whole", function()
    local site = spawn(make_app [[app:on_start(function() error("one\ntwo", 0) end)]])
    assert.equal(1, site:wait(AT_ONCE_S))
    assert.is_truthy(site:log():find "perilune: app:on_start at [^\n]* failed: one\ntwo\n")
  end)
end)

describe("a signal", function()
  it("while on_start waits ends the server, and on_stop does not run", function()
    local site = spawn(make_app [[
app:on_start(function()
  local _ <close> = setmetatable({}, { __close = function() note "ended" end })
  note "started"
  async.sleep(1000)
  note "never"
end)
app:on_start(function() note "never" end)
app:on_stop(function() note "never" end)]], "--workers", "2")
    site:wait_log "note started"
    assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    assert.same({ "started", "ended" }, noted(site:log()))
    expect_text(site:log(), "info  hook cancelled hook=on_start")
    assert.is_nil(site:log():find("perilune: ", 1, true))
  end)

  for name, body in pairs {
    computes = "while true do end",
    ["insists on computing"] = "while true do pcall(function() while true do end end) end",
    ["runs on the pool"] = "while true do end",
  } do
    it(("while on_start %s ends the server"):format(name), function()
      local fn = ("function() note 'started' %s end"):format(body)
      if name:find "pool" then fn = ("perilune.blocking(%s)"):format(fn) end
      local site = spawn(make_app(("app:on_start(%s)"):format(fn)))
      site:wait_log "note started"
      assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    end)
  end

  it("while others are being started lets on_stop run", function()
    local site = spawn(make_app [[
local state
app:on_state(function(it) state = it end)
app:on_start(function() note "started" end)
app:on_worker(function()
  if state.index < 2 then return end
  note "waits"
  async.sleep(1000)
end)
app:on_stop(function() note "stopped" end)]], "--workers", "2")
    site:wait_log "note waits"
    assert.equal(0, site:stop("INT", AT_ONCE_S), site:log())
    assert.same({ "started", "waits", "stopped" }, noted(site:log()))
    assert.is_nil(site:log():find("listening", 1, true))
  end)

  for _, body in ipairs { "async.sleep(1000)", "while true do end" } do
    it(("while a pool's state is made lets on_stop run: %s"):format(body), function()
      local site = start(make_app(([[
app:on_state(function(state)
  if state.role == "pool" and state.name == "default" then note "waits" %s end
end)
app:get("/", perilune.blocking(function() end))
app:on_stop(perilune.blocking({ pool = "tasks" }, function() note "stopped" end))]]):format(body)),
        "--drain-timeout", "0.1")
      send(site, "GET /")
      assert.is_truthy(site:wait_log "note waits")
      assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
      assert.same({ "waits", "stopped" }, noted(site:log()))
    end)
  end

  it("that on_start outlives lets on_stop run", function()
    local site = spawn(make_app [[
app:on_start(function()
  note "started"
  pcall(async.sleep, 1000)
end)
app:on_worker(function() note "never" end)
app:on_stop(function() note "stopped" end)]])
    site:wait_log "note started"
    assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    assert.same({ "started", "stopped" }, noted(site:log()))
  end)
end)

describe("on_stop", function()
  it("comes after the last request and the last task, of the pool too", function()
    local site = start(APP, "--workers", "2")
    send(site, "POST /task")
    send(site, "POST /blocking-task")
    local slow = send(site, "GET /slow?seconds=0.3")
    assert.is_truthy(site:wait_log "note task begun")
    assert.is_truthy(site:wait_log "note blocking task begun")
    assert.is_truthy(site:wait_log "note request begun")
    site:signal "TERM"
    assert.equal("slow", slow:receive_response().body)
    assert.equal(0, site:wait(AT_ONCE_S), site:log())
    local events = noted(site:log())
    local stop = index_of(events, "innermost stop")
    for _, event in ipairs { "request ended", "task ended", "blocking task ended" } do
      assert.is_true(index_of(events, event) < stop, site:log())
    end
    assert.is_true(index_of(events, "request ended") < index_of(events, "task ended"))
  end)

  it("is not reached by the end of what was cancelled before", function()
    local site = start(make_app [[
app:on_stop(function()
  local until_time = os.clock() + 0.3 -- computes: nothing interrupts it
  while os.clock() < until_time do end
  async.sleep(0.01)
  note(tostring(async.gather(function() return "stopped" end)))
end)]])
    assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    assert.same({ "stopped" }, noted(site:log()))
  end)

  it("may leave tasks behind, which are cancelled", function()
    local site = start(make_app [[
app:on_stop(function()
  async.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() note "ended" end })
    async.sleep(1000)
  end)
  note "stopped"
end)]])
    assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    assert.same({ "stopped", "ended" }, noted(site:log()))
  end)

  it("that hangs is given up when the time is over", function()
    for _, body in ipairs { "async.sleep(1000)", "while true do end" } do
      local site = start(make_app(("app:on_stop(function() note 'hangs' %s end)"):format(body)),
        "--shutdown-timeout", "0.5")
      assert.equal(1, site:stop("TERM", AT_ONCE_S))
      assert.same({ "hangs" }, noted(site:log()))
      expect_text(site:log(), "shutdown timed out")
    end
  end)

  it("that hangs is ended at once by a second signal", function()
    local site = start(make_app "app:on_stop(function() note 'hangs' async.sleep(1000) end)",
      "--shutdown-timeout", "60")
    site:signal "TERM"
    assert.is_truthy(site:wait_log "note hangs")
    assert.equal(1, site:stop("TERM", AT_ONCE_S))
    assert.is_nil(site:log():find("shutdown timed out", 1, true))
  end)
end)

describe("every", function()
  it("goes on while requests are answered, and is cancelled at the end", function()
    local site = start(make_app [[
app:every(0.001, function()
  local _ <close> = setmetatable({}, { __close = function() note "every ended" end })
  note "every begun"
  async.sleep(1000)
end)
app:get("/", function() return "answered" end)
app:on_stop(function() note "stopped" end)]], "--workers", "2")
    assert.is_truthy(site:wait_log "note every begun")
    assert.equal("answered", send(site, "GET /"):receive_response().body)
    assert.equal(0, site:stop("TERM", AT_ONCE_S), site:log())
    assert.same({ "every begun", "every ended", "stopped" }, noted(site:log()))
  end)
end)

describe("perilune routes", function()
  it("runs no hooks", function()
    local text = {}
    for _, name in ipairs { "on_state", "on_start", "on_worker", "on_stop" } do
      text[#text + 1] = ("app:%s(function() error 'ran' end)"):format(name)
    end
    local result = program.run { "routes", make_app(table.concat(text, "\n")) }
    assert.same({ 0, "" }, { result.code, result.err })
  end)
end)
