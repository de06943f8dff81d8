-- loops_spec.lua - background loops of server processes: start, stop, signals, exit codes, figures.
--
-- What happens is read from the log, where the apps that are made here note it. Ends have a limit;
-- what is to run at a signal is waited for before.

local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

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
local loop = perilune.loop "main"
]]

local function make_app(text)
  local files = { ["app.lua"] = HEAD .. text .. "\nreturn app\n" }
  directories[#directories + 1] = program.make_directory(files)
  return directories[#directories]
end

local function spawn(text, ...)
  started[#started + 1] = server.spawn(make_app(text), { ... })
  return started[#started]
end

local function start(text, ...)
  started[#started + 1] = server.start(make_app(text), { ... })
  return started[#started]
end

--- A request on a connection of its own.
local function send(to, line)
  clients[#clients + 1] = raw.connect(to.port)
  clients[#clients]:send(line .. " HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
  return clients[#clients]
end

local function noted(log)
  local events = {}
  for event in log:gmatch "info  note ([^\n]*)" do
    events[#events + 1] = event:gsub(" task=%S+", ""):gsub(" request=%x+", "")
  end
  return events
end

local function expect_text(text, part)
  assert.is_truthy(text:find(part, 1, true), text)
end

local LIFE = [[
app:on_state(function(state)
  if state.role == "background" then note("state " .. state.name .. " " .. state.index) end
end)
loop:on_start(function() async.sleep(0.001) note "loop start" end)
loop:on_start(function()
  async.spawn(function()
    local _ <close> = setmetatable({}, { __close = function() note "spawned ended" end })
    async.sleep(1000)
  end)
end)
loop:on_stop(function() async.sleep(0.001) note "loop stop" end)
loop:on_stop(function() note "loop stop first" end)
local track = perilune.background("main", function(event) note("tracks " .. event) end)
local wait = perilune.background("main", function()
  local _ <close> = setmetatable({}, { __close = function() note "wait ended" end })
  note "waits"
  async.sleep(1000)
end)
local insist = perilune.background("main", function()
  note "insists"
  while true do pcall(function() while true do end end) end
end)
app:on_start(function() track "start" end)
app:on_stop(function() track "stop" end)
app:get("/track", function() track "request" return "tracked" end)
app:get("/wait", wait)
app:get("/wait_task", function(req) req.tasks:schedule(wait) return 202 end)
app:get("/insist_task", function(req) req.tasks:schedule(insist) return 202 end)
app:get("/stop", function() loop:stop() return "stopped" end)
]]

describe("the loops of a server", function()
  it("start before its on_start, and stop after its on_stop and its calls", function()
    local web = start(LIFE, "--workers", "2")
    assert.equal("tracked", send(web, "GET /track"):receive_response().body)
    send(web, "GET /wait_task")
    web:wait_log "note waits"
    assert.equal(0, web:stop("TERM", AT_ONCE_S), web:log())
    local log = web:log()
    local events = noted(log)
    assert.same({ "state main 1", "loop start", "tracks start", "tracks request", "waits" },
      table.move(events, 1, 5, 1, {}))
    table.sort(table.move(events, 6, 7, 1, {}))
    local ended = { events[6], events[7] }
    table.sort(ended)
    assert.same({ "spawned ended", "wait ended" }, ended)
    assert.same({ "tracks stop", "loop stop first", "loop stop" },
      table.move(events, 8, #events, 1, {}))
    assert.is_true(log:find("note loop start", 1, true) < log:find("listening", 1, true))
  end)

  it("let a request in flight come to its end within the drain", function()
    local web = start(LIFE, "--drain-timeout", "0.2")
    local client = send(web, "GET /wait")
    web:wait_log "note waits"
    assert.equal(0, web:stop("TERM", AT_ONCE_S), web:log())
    assert.is_truthy(client)
    expect_text(web:log(), "note wait ended")
    expect_text(web:log(), "note loop stop")
  end)

  it("interrupt what computes and swallows errors", function()
    local web = start(LIFE, "--drain-timeout", "0.2")
    send(web, "GET /insist_task")
    web:wait_log "note insists"
    assert.equal(0, web:stop("TERM", AT_ONCE_S), web:log())
    expect_text(web:log(), "note loop stop")
  end)

  it("are warned of when they are held", function()
    local web = start(LIFE, "--stall-warn", "30ms")
    send(web, "GET /insist_task")
    assert.is_truthy(web:wait_log "(the event loop is held worker=background)")
    assert.equal(0, web:stop("TERM", AT_ONCE_S), web:log())
  end)

  it("may be stopped before", function()
    local web = start(LIFE)
    assert.equal("stopped", send(web, "GET /stop"):receive_response().body)
    web:wait_log "note (loop stop)\n"
    assert.equal(500, send(web, "GET /track"):receive_response().status)
    assert.equal(1, web:stop("TERM", AT_ONCE_S)) -- its on_stop calls the loop
    expect_text(web:log(), "loop 'main' has been stopped")
    assert.equal(1, select(2, web:log():gsub("note loop stop\n", "")))
  end)
end)

describe("a loop that fails", function()
  it("in on_start keeps the server from starting, with exit code 1", function()
    local web = spawn [[
loop:on_start(function() error "not today" end)
app:on_start(function() note "started" end)
app:on_stop(function() note "stopped" end)
]]
    assert.equal(1, web:wait(AT_ONCE_S), web:log())
    expect_text(web:log(), "perilune: loop:on_start at ")
    expect_text(web:log(), "not today")
    assert.same({}, noted(web:log()))
  end)

  it("to load does so, too", function()
    local web = spawn [[
app:on_state(function(state) if state.role == "background" then error { code = 7 } end end)
]]
    assert.equal(1, web:wait(AT_ONCE_S), web:log())
    expect_text(web:log(), "app:on_state at ")
  end)

  it("in on_stop gives exit code 1, and the other hooks run", function()
    local web = start [[
loop:on_stop(function() note "first" end)
loop:on_stop(function() async.sleep(0) error "no flush" end)
perilune.loop("other"):on_stop(function() note "other" end)
app:on_stop(function() note "app" end)
]]
    assert.equal(1, web:stop("TERM", AT_ONCE_S), web:log())
    local events = noted(web:log())
    table.sort(events)
    assert.same({ "app", "first", "other" }, events)
    expect_text(web:log(), "no flush")
    expect_text(web:log(), "perilune: loop:on_stop at ")
  end)
end)

describe("a signal", function()
  it("ends a server whose loop is still starting", function()
    for _, body in ipairs { "async.sleep(1000)", "while true do end" } do
      local web = spawn(([[
loop:on_start(function() note "begins" %s end)
loop:on_stop(function() note "never" end)
]]):format(body))
      web:wait_log "note (begins)"
      assert.equal(0, web:stop("TERM", AT_ONCE_S), web:log())
      assert.same({ "begins" }, noted(web:log()))
    end
  end)

  for _, body in ipairs { "async.sleep(1000)", "while true do end" } do
    local text = ("loop:on_stop(function() note 'stops' %s end)"):format(body)

    it("again ends what hangs in on_stop: " .. body, function()
      local web = start(text)
      web:signal "TERM"
      web:wait_log "note (stops)"
      assert.equal(1, web:stop("TERM", AT_ONCE_S), web:log())
    end)

    it("is followed by the time limit of the shutdown: " .. body, function()
      local web = start(text, "--shutdown-timeout", "0.5")
      assert.equal(1, web:stop("TERM", AT_ONCE_S), web:log())
      expect_text(web:log(), "shutdown timed out")
    end)
  end
end)
