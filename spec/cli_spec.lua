-- cli_spec.lua - the command line through the real binary: words, wrong words, signals.
--
-- A command that fails says why in one line on standard error, nothing on standard output, and its
-- exit code is 2 for a wrong command line and 1 for everything else. A server that is told to stop
-- answers what it has begun. Apps that are wrong are written into temporary directories.

local lfs = require "lfs"
local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local WIRE = program.root() .. "/spec/apps/wire"
local AT_ONCE_S = 5 -- far below the timeouts that the servers here are given

local directories, servers = {}, {}

after_each(function()
  while #servers > 0 do table.remove(servers):kill() end
  while #directories > 0 do program.remove_directory(table.remove(directories)) end
end)

--- A directory that ends with the spec.
local function make_directory(files)
  local path = program.make_directory(files)
  directories[#directories + 1] = path
  return path
end

--- A server that ends with the spec.
local function start(arguments, how, app_dir)
  local started = server[how or "start"](app_dir or WIRE, arguments)
  servers[#servers + 1] = started
  return started
end

local function contains(text, words)
  return assert.is_truthy(text:find(words, 1, true), ("no %q in:\n%s"):format(words, text))
end

local function expect_success(...)
  local result = program.run { ... }
  assert.equal(0, result.code, result.err)
  assert.equal("", result.err)
  return result.out
end

--- The command fails with that code and one line that has these words.
local function expect_failure(words, code, ...)
  local result = program.run(words)
  assert.equal(code, result.code, result.err)
  assert.equal("", result.out)
  assert.is_truthy(result.err:find "^perilune: [^\n]+\n$", result.err)
  for _, expected in ipairs { ... } do contains(result.err, expected) end
end

--- `serve` with an app.lua of that text fails so; a traceback may follow the line.
local function expect_bad_app(text, ...)
  local result = program.run { "serve", make_directory { ["app.lua"] = text }, "--port", "0" }
  assert.equal(1, result.code, result.err)
  assert.equal("", result.out)
  local line, rest = result.err:match "^(perilune: [^\n]+)\n(.*)$"
  assert.is_truthy(line, result.err)
  assert.is_truthy(rest == "" or rest:find "^stack traceback:", result.err)
  for _, expected in ipairs { ... } do contains(line, expected) end
end

local function send_get(to, target)
  local client = raw.connect(to.port)
  client:send(("GET %s HTTP/1.1\r\nHost: h\r\n\r\n"):format(target))
  return client
end

--- An app that says so when it loads, and takes its time.
local function make_slow_app(seconds)
  return make_directory { ["app.lua"] = ([[
    local app = require "perilune".app {}
    require "perilune.log".info "loading"
    require "perilune.async".sleep(%s)
    return app
  ]]):format(seconds) }
end

local function is_refused(port)
  local ok, client = pcall(raw.connect, port)
  if ok then client:close() end
  return not ok
end

describe("perilune", function()
  it("--version names it and its libraries", function()
    assert.is_truthy(expect_success("--version"):find(
      "^perilune %d+%.%d+%.%d+ %(Lua 5%.%d+%.%d+, libuv %d+%.%d+%.%d+, llhttp %d+%.%d+%.%d+%)\n$"))
  end)

  it("--help lists the commands", function()
    local help = expect_success "--help"
    for _, word in ipairs { "Usage:", "new", "dev", "serve", "test", "check", "routes", "repl",
      "--version" } do
      contains(help, word)
    end
    assert.equal(help, expect_success "-h")
  end)

  it("COMMAND --help says more", function()
    for _, command in ipairs { "new", "dev", "serve", "test", "check", "routes", "repl" } do
      local help = expect_success(command, "--help")
      contains(help, "Usage: perilune " .. command)
    end
  end)

  it("serve --help lists every setting with default and variable", function()
    local help = expect_success("serve", "--help"):gsub("%s+", " ")
    for _, name in ipairs { "host", "port", "workers", "max-body", "drain-timeout" } do
      contains(help, "--" .. name .. " ")
      contains(help, "PERILUNE_" .. name:upper():gsub("-", "_"))
    end
    contains(help, "[default 8080]")
  end)

  it("routes lists the routes of an app", function()
    local out = expect_success("routes", WIRE)
    assert.is_truthy(out:find "METHOD%s+PATH%s+WHERE%s+SOURCE")
    assert.is_truthy(out:find "\nGET%s+/users/{id:int}%s+loop%s+[^\n]*app.lua:%d+\n")
    assert.is_truthy(out:find "\nGET%s+/blocking%s+blocking%(default%)%s+[^\n]*app.lua:%d+\n")
    assert.is_truthy(out:find "\nPUT%s+/echo%s")
  end)
end)

describe("a wrong command line", function()
  it("is one without a command, or with an unknown one", function()
    expect_failure({}, 2, "command")
    expect_failure({ "sevre", WIRE }, 2, "sevre")
    expect_failure({ "serve" }, 2, "DIR", "usage: perilune serve DIR")
    expect_failure({ "test" }, 2, "directory")
    expect_failure({ "serve", WIRE, "more" }, 2, "too many arguments")
  end)

  it("is one with an unknown flag", function()
    expect_failure({ "serve", WIRE, "--prot", "1" }, 2, "--prot", "--port")
    expect_failure({ "serve", WIRE, "--zzzzzzzz" }, 2, "--zzzzzzzz", "the nearest is --")
    expect_failure({ "routes", WIRE, "--port", "1" }, 2, "--port")
    expect_failure({ "--nothing" }, 2, "--nothing")
  end)

  it("is one with a value that is none", function()
    expect_failure({ "serve", WIRE, "--port", "abc" }, 2, "--port", '"abc"', "whole number")
    expect_failure({ "serve", WIRE, "--port", "65536" }, 2, "--port", "65535")
    expect_failure({ "serve", WIRE, "--port" }, 2, "--port")
    expect_failure({ "serve", WIRE, "--workers", "0" }, 2, "--workers", "auto")
    expect_failure({ "serve", WIRE, "--max-body", "10x" }, 2, "--max-body", "bytes")
    expect_failure({ "serve", WIRE, "--header-timeout", "0" }, 2, "--header-timeout", "seconds")
    expect_failure({ "serve", WIRE, "--log-format", "xml" }, 2, "--log-format", "text|json")
  end)
end)

describe("a wrong directory", function()
  it("is one that is not there, or is none", function()
    for _, command in ipairs { "serve", "test", "routes" } do
      expect_failure({ command, "/no/such/dir" }, 1, "no such directory: /no/such/dir")
      expect_failure({ command, WIRE .. "/app.lua" }, 1, "app.lua is not a directory")
    end
  end)

  it("is one without app.lua", function()
    local empty = make_directory()
    expect_failure({ "serve", empty }, 1, empty .. " has no app.lua")
    expect_failure({ "routes", empty }, 1, empty .. " has no app.lua")
    expect_failure({ "test", empty }, 1, empty .. " has no app.lua and no *_spec.lua")
  end)
end)

describe("settings from elsewhere", function()
  it("are checked in the environment", function()
    local result = program.run({ "serve", WIRE }, { "PERILUNE_PORT=abc" })
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find "^perilune: PERILUNE_PORT: [^\n]+\n$", result.err)
  end)

  it("are checked in conf.lua", function()
    local function expect(conf, ...)
      local path = make_directory { ["app.lua"] = "", ["conf.lua"] = conf }
      expect_failure({ "serve", path }, 1, path .. "/conf.lua", ...)
    end
    expect("return { prot = 1 }", "unknown setting", "port")
    expect("return { port = 'abc' }", "port", "abc")
    expect("return { port = }", "conf.lua:1:")
    expect("\nerror 'boom'", "conf.lua:2: boom")
    expect("return 1", "number")
  end)
end)

describe("an app that cannot be served", function()
  it("has a syntax error", function()
    expect_bad_app("local x = 1\nlocal = 2\n", "app.lua:2:", "near '='")
  end)

  it("has an error while it loads", function()
    expect_bad_app("local x\n\nx.y = 1\n", "app.lua:3:", "attempt to index a nil value")
    expect_bad_app('error "boom"', "app.lua:1: boom")
    expect_bad_app('error { code = 7 }', "app.lua")
    expect_bad_app('require "no.such.module"', "no.such.module")
  end)

  it("is none", function()
    expect_bad_app("", "app.lua", "app")
    expect_bad_app("return 1", "app.lua", "number")
    expect_bad_app("return {}", "app.lua", "table")
  end)

  it("has two routes of one pattern", function()
    expect_bad_app('local app = require "perilune".app {}\n'
      .. 'app:get("/a", function() end)\napp:get("/a", function() end)\nreturn app\n',
      "app.lua:2", "app.lua:3", "/a")
  end)
end)

describe("a port in use", function()
  it("is noticed, with several workers too", function()
    local port = tostring(start().port)
    for _, workers in ipairs { "1", "2" } do
      expect_failure({ "serve", WIRE, "--port", port, "--workers", workers }, 1,
        "127.0.0.1:" .. port, "address already in use")
    end
  end)

  it("is noticed where several workers share it", function()
    local port = tostring(start({ "--workers", "2" }).port)
    expect_failure({ "serve", WIRE, "--port", port, "--workers", "2" }, 1, port, "already in use")
  end)
end)

describe("a server", function()
  it("says where it listens, with several workers on one port", function()
    local many = start { "--workers", "3" }
    assert.is_truthy(many:wait_log "listening url=http://127%.0%.0%.1:%d+ workers=3\n")
    for _ = 1, 20 do
      local client = send_get(many, "/")
      assert.equal("hello", client:receive_response().body)
      client:close()
    end
    assert.equal(0, many:stop())
  end)

  it("writes its process id into a file and removes it", function()
    local path = os.tmpname()
    local started = start { "--pid-file", path }
    assert.equal(started.pid, math.tointeger(program.read(path):match "^%d+"))
    assert.equal(0, started:stop())
    assert.is_nil(lfs.attributes(path))
  end)

  for _, signal in ipairs { "TERM", "INT" } do
    it("ends at once by SIG" .. signal .. " while idle", function()
      local started = start()
      local client = send_get(started, "/")
      assert.equal("hello", client:receive_response().body)
      assert.equal(0, started:stop(signal, AT_ONCE_S))
      assert.is_true(client:is_closed())
      client:close()
    end)

    it("answers what is in flight at SIG" .. signal, function()
      local started = start()
      local client = send_get(started, "/sleep/400")
      assert.is_truthy(started:wait_log "sleeping ms=400")
      started:signal(signal)
      local response = client:receive_response()
      assert.equal(200, response.status)
      assert.equal("slept", response.body)
      assert.equal("close", response.headers.connection)
      assert.is_true(client:is_closed())
      client:close()
      assert.equal(0, started:wait(AT_ONCE_S))
    end)
  end

  it("accepts nobody while it ends", function()
    local started = start { "--drain-timeout", "60", "--shutdown-timeout", "60" }
    local client = send_get(started, "/sleep/1000")
    assert.is_truthy(started:wait_log "sleeping ms=1000")
    started:signal "TERM"
    assert.is_true(program.wait(AT_ONCE_S, function() return is_refused(started.port) end))
    assert.equal("slept", client:receive_response().body)
    client:close()
    assert.equal(0, started:wait(AT_ONCE_S))
  end)

  it("cancels what is not done in time", function()
    local started = start { "--drain-timeout", "0.1" }
    local client = send_get(started, "/sleep/60000")
    assert.is_truthy(started:wait_log "sleeping ms=60000")
    assert.equal(0, started:stop("TERM", AT_ONCE_S))
    client:close()
  end)

  it("does not wait for clients that are slow", function()
    local started = start { "--drain-timeout", "0.2", "--shutdown-timeout", "60" }
    local unfinished = { "GET / HTTP/1.1\r\nHo", "GET / HTTP/1.1\r\nHost: h\r\n",
      "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc",
      "GET /large/20000000 HTTP/1.1\r\nHost: h\r\n\r\n" }
    local slow = {}
    for i, bytes in ipairs(unfinished) do
      slow[i] = raw.connect(started.port)
      slow[i]:send(bytes)
    end
    slow[#slow].tcp:settimeout(30)
    assert.equal("H", slow[#slow].tcp:receive(1)) -- what came before it has been read
    assert.equal(0, started:stop("TERM", AT_ONCE_S), started:log())
    for _, client in ipairs(slow) do client:close() end
  end)

  it("ends at once by a second signal", function()
    local started = start { "--drain-timeout", "60", "--shutdown-timeout", "60" }
    local client = send_get(started, "/sleep/60000")
    assert.is_truthy(started:wait_log "sleeping ms=60000")
    started:signal "TERM"
    assert.is_true(program.wait(AT_ONCE_S, function() return is_refused(started.port) end))
    assert.is_false(started:has_ended())
    assert.is_true(started:stop("TERM", AT_ONCE_S) ~= 0)
    client:close()
  end)

  local function start_stuck(timeout)
    local directory = program.make_directory { ["app.lua"] = [[
      local perilune = require "perilune"
      local app = perilune.app { name = "stuck" }
      app:get("/", perilune.blocking(function()
        io.stderr:write("stuck\n")
        os.execute "exec sleep 10"
      end))
      return app]] }
    local limits = { "--drain-timeout", "0.1", "--shutdown-timeout", timeout }
    local started = start(limits, nil, directory)
    local client = send_get(started, "/")
    assert.is_truthy(started:wait_log "stuck")
    return started, client, directory
  end

  it("gives up a blocking function that no interruption reaches, when the time is over", function()
    local started, client, directory = start_stuck "0.3"
    assert.equal(1, started:stop("TERM", AT_ONCE_S), started:log())
    assert.is_truthy(started:log():find("shutdown timed out", 1, true))
    client:close()
    program.remove_directory(directory)
  end)

  it("ends at once by a second signal while such a function is waited for", function()
    local started, client, directory = start_stuck "60"
    started:signal "TERM"
    assert.is_truthy(started:wait_log "handler cancelled")
    assert.equal(1, started:stop("TERM", AT_ONCE_S), started:log())
    client:close()
    program.remove_directory(directory)
  end)

  it("ends by a signal while its first worker loads", function()
    local started = start({}, "spawn", make_slow_app(60))
    assert.is_truthy(started:wait_log "loading")
    assert.equal(0, started:stop("TERM", AT_ONCE_S))
    assert.is_nil(started:log():find("listening", 1, true))
  end)

  it("ends by a signal while its other workers load", function()
    local started = start({ "--workers", "4" }, "spawn", make_slow_app(0.2))
    assert.is_truthy(started:wait_log "loading.*loading")
    assert.equal(0, started:stop("TERM", AT_ONCE_S), started:log())
    assert.is_nil(started:log():find("listening", 1, true))
  end)
end)
