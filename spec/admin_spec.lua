-- admin_spec.lua - the admin endpoint of real servers: health from start to end, and metrics.
--
-- Metrics are read back as Prometheus would: every line must be one, HELP and TYPE once before the
-- values of a name. What is counted is what the spec itself has done, so numbers are exact.

local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local WIRE = "spec/apps/wire"
local LIMIT_S = 10
local OPEN = "admin endpoint open url=http://%S-:(%d+)%s"

local directories, servers, clients = {}, {}, {}

after_each(function()
  while #clients > 0 do table.remove(clients):close() end
  while #servers > 0 do table.remove(servers):kill() end
  while #directories > 0 do program.remove_directory(table.remove(directories)) end
end)

local function get(target)
  return ("GET %s HTTP/1.1\r\nHost: h\r\n\r\n"):format(target)
end

local function make_app(text)
  local path = program.make_directory { ["app.lua"] = text }
  directories[#directories + 1] = path
  return path
end

--- A server with an admin endpoint, at .admin, that ends with the spec.
local function spawn(app, ...)
  local started = server.spawn(app, { "--admin", "127.0.0.1:0", ... })
  servers[#servers + 1] = started
  started.admin = math.tointeger(tonumber(started:wait_log(OPEN) or error(started:log())))
  return started
end

--- The same once it listens.
local function start(app, ...)
  local started = spawn(app, ...)
  started.port = math.tointeger(tonumber(started:wait_log "listening[^\n]-http://%S-:(%d+)%s"))
  return started
end

local function connect(port)
  local client = raw.connect(port)
  clients[#clients + 1] = client
  return client
end

local function health(web)
  local response = raw.request(web.admin, get "/-/health")
  assert.equal("application/json", response.headers["content-type"])
  return response.status, response.body
end

--- Values by name and labels, as they stand in the text.
local function metrics(web)
  local response = raw.request(web.admin, get "/-/metrics")
  assert.equal(200, response.status)
  assert.equal("text/plain; version=0.0.4; charset=utf-8", response.headers["content-type"])
  local values, types, helped, last = {}, {}, {}, nil
  for line in response.body:gmatch "([^\n]*)\n" do
    local kind, name, rest = line:match "^# (%u+) ([%a_:][%w_:]*) (.+)$"
    if kind == "HELP" then
      assert.is_nil(helped[name], line)
      helped[name] = rest
    elseif kind == "TYPE" then
      assert.is_truthy(helped[name] and not types[name], line)
      types[name], last = rest, name
      assert.equal(rest == "counter", name:find "_total$" ~= nil, line)
    else
      local series, number = line:match '^([%a_:][%w_:]*{?[^}]*}?) (%S+)$'
      name = assert(series, line):match "^[^{]+"
      if types[last] == "histogram" then
        name = name:gsub("_bucket$", ""):gsub("_sum$", ""):gsub("_count$", "")
      end
      assert.equal(last, name, line)
      assert.is_nil(values[series], line)
      values[series] = assert(tonumber(number), line)
    end
  end
  assert.equal("\n", response.body:sub(-1))
  return values
end

--- Waits until a series has a value.
local function wait_for(web, series, value)
  local seen
  local found = program.wait(LIMIT_S, function()
    seen = metrics(web)
    return seen[series] == value
  end)
  assert.is_true(found == true, ("%s is %s, not %s"):format(series, seen[series], value))
  return seen
end

describe("health", function()
  it("is starting until all workers listen, then ok", function()
    local gate = os.tmpname()
    local web = spawn(make_app(([[
      local async, perilune = require "perilune.async", require "perilune"
      while io.open(%q) do async.sleep(0.005) end
      return perilune.app { name = "late" }
    ]]):format(gate)), "--workers", "2")
    local status, body = health(web)
    assert.equal(503, status)
    assert.equal('{"status":"starting"}', body)
    assert.equal(0, metrics(web)['perilune_http_connections_total{worker="1"}'])
    assert(os.remove(gate))
    assert.is_truthy(web:wait_log "(listening)")
    status, body = health(web)
    assert.equal(200, status)
    assert.equal('{"status":"ok"}', body)
    assert.equal(0, web:stop(), web:log())
  end)

  it("is draining while requests end", function()
    local web = start(WIRE)
    local client = connect(web.port)
    client:send(get "/sleep/700")
    assert.is_truthy(web:wait_log "(ms=700)")
    web:signal "TERM"
    assert.is_truthy(web:wait_log "(stopping)")
    local status, body = health(web)
    assert.equal(503, status)
    assert.equal('{"status":"draining"}', body)
    assert.equal(1, metrics(web)['perilune_http_requests_in_flight{worker="0"}'])
    assert.equal("slept", client:receive_response().body)
    assert.equal(0, web:wait(), web:log())
  end)

  it("is told while every worker computes", function()
    local web = start(make_app [[
      local app = require "perilune".app { name = "busy" }
      app:get("/", function() while true do end end)
      return app
    ]], "--workers", "2")
    for _ = 1, 20 do connect(web.port):send(get "/") end
    local held = "the event loop is held"
    assert.is_true(program.wait(LIMIT_S, function()
      local _, count = web:log():gsub(held, "")
      return count >= 2
    end), web:log())
    assert.equal(200, (health(web)))
    assert.is_truthy(metrics(web)['perilune_http_connections_total{worker="0"}'])
  end)
end)

describe("metrics", function()
  it("count connections, answers by class, and bytes", function()
    local web = start(WIRE)
    local client = connect(web.port)
    local requests = get "/" .. get "/message" .. get "/nothing" .. get "/message/" .. get "/error"
    client:send(requests)
    local received = 0
    for _ = 1, 5 do
      local response = client:receive_response()
      received = received + #response.raw + #response.body
    end
    raw.request(web.port, "rubbish\r\n\r\n")
    local seen = wait_for(web, 'perilune_http_connections{worker="0"}', 1)
    local expected = {
      ["connections_total"] = 2, ['requests_total,code="2xx"'] = 2,
      ['requests_total,code="3xx"'] = 1, ['requests_total,code="4xx"'] = 2,
      ['requests_total,code="5xx"'] = 1, requests_refused_total = 3, requests_in_flight = 0,
      received_bytes_total = #requests + #"rubbish\r\n\r\n", accept_pauses_total = 0,
      accept_failures_total = 0,
    }
    for name, value in pairs(expected) do
      local stem, label = name:match "^([%w_]+)(.*)$"
      assert.equal(value, seen[('perilune_http_%s{worker="0"%s}'):format(stem, label)], name)
    end
    assert.is_true(seen['perilune_http_sent_bytes_total{worker="0"}'] > received)
  end)

  it("count how often accepting paused", function()
    local web = start(WIRE, "--max-connections", "1")
    local first, second = connect(web.port), connect(web.port)
    second:send(get "/")
    wait_for(web, 'perilune_http_accept_pauses_total{worker="0"}', 1)
    assert.equal(1, metrics(web)['perilune_http_connections_total{worker="0"}'])
    first:send(get "/message")
    assert.equal(200, first:receive_response().status)
    first:close()
    assert.equal("hello", second:receive_response().body)
    wait_for(web, 'perilune_http_connections_total{worker="0"}', 2)
  end)

  it("of several workers stand apart", function()
    local web = start(WIRE, "--workers", "3")
    for _ = 1, 60 do raw.request(web.port, get "/") end
    local total
    program.wait(LIMIT_S, function()
      local seen = metrics(web)
      total = 0
      for i = 0, 2 do
        total = total + seen[('perilune_http_requests_total{worker="%d",code="2xx"}'):format(i)]
      end
      return total >= 60
    end)
    assert.equal(60, total)
  end)

  it("tell of Lua, loops, the process and its build", function()
    local web = start(WIRE)
    local seen = metrics(web)
    assert.is_true(seen['perilune_lua_memory_bytes{worker="0"}'] > 10000)
    assert.is_true(seen['perilune_loop_turns_total{worker="0"}'] > 0)
    assert.is_true(seen["process_resident_memory_bytes"] > 1000000)
    assert.is_true(seen["process_open_fds"] > 5)
    assert.is_true(seen["process_max_fds"] >= seen["process_open_fds"])
    assert.is_true(seen["process_cpu_seconds_total"] > 0)
    assert.is_true(math.abs(seen["process_start_time_seconds"] - os.time()) < 60)
    assert.is_true(seen["perilune_uptime_seconds"] >= 0)
    local version = program.run({ "--version" }).out:match "^perilune (%S+)"
    assert.is_truthy(raw.request(web.admin, get "/-/metrics").body
      :find(('perilune_build_info{version="%s",libuv="'):format(version), 1, true))
    local idle = seen['perilune_loop_idle_seconds_total{worker="0"}']
    raw.request(web.port, get "/nap/20")
    assert.is_true(program.wait(LIMIT_S, function()
      return metrics(web)['perilune_loop_idle_seconds_total{worker="0"}'] >= idle + 0.015
    end))
  end)

  it("tell of the pools", function()
    local web = start(make_app [[
      local perilune = require "perilune"
      local app = perilune.app { name = "pools", pools = { ['a"b\\'] = { threads = 1 } } }
      app:get("/", perilune.blocking({ pool = 'a"b\\' }, function()
        require "perilune.async".sleep(60)
      end))
      return app
    ]], "--drain-timeout", "0")
    for _ = 1, 3 do connect(web.port):send(get "/") end
    local label = [[{pool="a\"b\\"}]]
    local seen = wait_for(web, "perilune_pool_queued_calls" .. label, 2)
    assert.equal(1, seen["perilune_pool_threads" .. label])
    assert.equal(1, seen["perilune_pool_busy_threads" .. label])
    assert.equal(0, seen['perilune_pool_threads{pool="tasks"}'])
    wait_for(web, 'perilune_http_requests_in_flight{worker="0"}', 3)
    assert.is_true(program.wait(LIMIT_S, function()
      return metrics(web)["perilune_pool_lua_memory_bytes" .. label] > 10000
    end))
    assert.equal(0, web:stop(), web:log())
  end)

  it("time the calls of a pool, and count those that it did not run", function()
    local web = start(make_app [[
      local async, perilune = require "perilune.async", require "perilune"
      local app = perilune.app { name = "pools", pools = { one = { threads = 1, queue = 1 } } }
      app:get("/{seconds:float}", { cancel_on_disconnect = true },
        perilune.blocking({ pool = "one" }, function(req)
          async.sleep(req.params.seconds)
          return "slept"
        end))
      return app
    ]], "--drain-timeout", "0")
    for _ = 1, 3 do assert.equal(200, raw.request(web.port, get "/0.02").status) end
    local seen = metrics(web)
    for _, name in ipairs { "perilune_pool_wait_seconds", "perilune_pool_run_seconds" } do
      assert.equal(3, seen[name .. '_count{pool="one"}'])
      assert.equal(3, seen[name .. '_bucket{pool="one",le="+Inf"}'])
      assert.equal(0, seen[name .. '_count{pool="default"}'])
      assert.is_true(seen[name .. '_sum{pool="one"}'] > 0)
    end
    assert.equal(0, seen['perilune_pool_run_seconds_bucket{pool="one",le="0.01"}'])
    assert.is_true(seen['perilune_pool_run_seconds_sum{pool="one"}'] >= 0.06)

    connect(web.port):send(get "/60")
    wait_for(web, 'perilune_pool_wait_seconds_count{pool="one"}', 4)
    local queued = connect(web.port)
    queued:send(get "/60")
    wait_for(web, 'perilune_pool_queued_calls{pool="one"}', 1)
    local refused = raw.request(web.port, get "/60")
    assert.equal(503, refused.status)
    assert.is_truthy(refused.headers["retry-after"])
    seen = metrics(web)
    assert.equal(1, seen['perilune_pool_rejected_calls_total{pool="one"}'])
    assert.equal(0, seen['perilune_pool_cancelled_calls_total{pool="one"}'])
    queued:close()
    wait_for(web, 'perilune_pool_cancelled_calls_total{pool="one"}', 1)
    assert.equal(0, metrics(web)['perilune_pool_queued_calls{pool="one"}'])
    assert.equal(0, web:stop(), web:log())
  end)

  it("tell of the background loops", function()
    local web = start(make_app [[
      local perilune = require "perilune"
      local app = perilune.app { name = "loops" }
      local options = { queue = 2 }
      app:get("/", perilune.background('a"b\\', options, function()
        require "perilune.async".sleep(60)
      end))
      return app
    ]], "--drain-timeout", "0")
    local label = [[{loop="a\"b\\"}]]
    assert.equal(0, metrics(web)["perilune_background_unfinished_calls" .. label])
    for _ = 1, 2 do connect(web.port):send(get "/") end
    wait_for(web, "perilune_background_unfinished_calls" .. label, 2)
    assert.equal(503, raw.request(web.port, get "/").status)
    assert.equal(1, metrics(web)["perilune_background_refused_calls_total" .. label])
    assert.is_true(program.wait(LIMIT_S, function()
      return metrics(web)["perilune_background_lua_memory_bytes" .. label] > 10000
    end))
    assert.equal(0, web:stop(), web:log())
  end)

  it("count lines that the access log lost", function()
    local directory = program.make_directory()
    directories[#directories + 1] = directory
    local fifo = directory .. "/access.log"
    assert(os.execute(program.quote { "mkfifo", fifo }))
    local web = start(WIRE, "--access-log", fifo)
    local client = connect(web.port)
    local target = "/" .. ("x"):rep(8000)
    assert.equal(0, metrics(web)["perilune_access_log_dropped_lines_total"])
    for _ = 1, 600 do
      client:send(get(target))
      client:receive_response()
    end
    assert.is_true(program.wait(LIMIT_S, function()
      return metrics(web)["perilune_access_log_dropped_lines_total"] > 0
    end))
    assert.equal(0, web:stop(), web:log())
  end)

  it("count tasks that failed or were dropped", function()
    local web = start(make_app [[
      local app = require "perilune".app { name = "tasks" }
      app:get("/failing", function(req)
        req.tasks:schedule(function() error "on purpose" end)
        return "ok"
      end)
      app:get("/dropping", function(req)
        req.tasks.after_response:schedule(function() end)
        req.tasks.after_route:schedule(function() end)
        error "on purpose"
      end)
      return app
    ]])
    raw.request(web.port, get "/failing")
    raw.request(web.port, get "/dropping")
    wait_for(web, 'perilune_tasks_failed_total{worker="0"}', 1)
    wait_for(web, 'perilune_tasks_dropped_total{worker="0"}', 2)
  end)
end)

describe("the endpoint", function()
  it("knows nothing else", function()
    local web = start(WIRE)
    for _, target in ipairs { "/", "/-", "/-/health/x", "/metrics", "/-/%2e%2e/health" } do
      assert.equal(404, raw.request(web.admin, get(target)).status, target)
    end
    assert.equal(404, raw.request(web.port, get "/-/health").status)
    assert.equal(405, raw.request(web.admin,
      "DELETE /-/health HTTP/1.1\r\nHost: h\r\n\r\n").status)
  end)

  it("keeps connections, answers HEAD, and leaves them at the end", function()
    local web = start(WIRE)
    local client = connect(web.admin)
    client:send("HEAD /-/health HTTP/1.1\r\nHost: h\r\n\r\n" .. get "/-/health" .. get "/-/metrics")
    assert.equal("15", client:receive_response(nil, true).headers["content-length"])
    assert.equal('{"status":"ok"}', client:receive_response().body)
    assert.equal(200, client:receive_response().status)
    assert.equal(0, web:stop(), web:log())
    assert.is_true(client:is_closed())
  end)

  it("may be at an IPv6 address", function()
    local web = server.spawn(WIRE, { "--admin", "[::1]:0" })
    servers[#servers + 1] = web
    local port = tonumber((web:wait_log "admin endpoint open url=http://%[::1%]:(%d+)%s"))
    local client = raw.connect(math.tointeger(port), "::1")
    clients[#clients + 1] = client
    client:send(get "/-/health")
    assert.is_truthy(client:receive_response().body:find '"status"')
  end)

  it("that cannot be opened ends the start", function()
    local web = start(WIRE)
    local dir = program.root() .. "/" .. WIRE
    local taken = "127.0.0.1:" .. web.admin
    local result = program.run { "serve", dir, "--port", "0", "--admin", taken }
    assert.equal(1, result.code)
    assert.equal(("perilune: --admin: cannot listen on %s: address already in use\n"):format(taken),
      result.err)
    result = program.run { "serve", dir, "--admin", "9000" }
    assert.equal(2, result.code)
    assert.equal('perilune: --admin: "9000" is not host:port (like 127.0.0.1:9000 or [::1]:9000)\n',
      result.err)
  end)
end)
