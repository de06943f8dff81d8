-- mistakes_spec.lua - the errors of a newcomer's first hour say what to do.
--
-- Apps that do not load are written into directories of their own; the others are in
-- spec/apps/mistakes, whose log is read.

local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local HEAD = 'local perilune = require "perilune"\nlocal app = perilune.app {}\n'

--- What `perilune routes` says of an app of that text: one line.
local function load_error(text)
  local directory = program.make_directory { ["app.lua"] = text }
  local result = program.run { "routes", directory }
  program.remove_directory(directory)
  assert.equal(1, result.code, result.out)
  assert.is_truthy(result.err:find "^perilune: [^\n]+\n$", result.err)
  return result.err
end

local function contains(text, words)
  assert.is_truthy(text:find(words, 1, true), ("no %q in:\n%s"):format(words, text))
end

describe("an app.lua", function()
  local wrong = {
    ["that returns nothing"] = { HEAD, "returns nothing: end it with `return app`" },
    ["that returns something else"] = { HEAD .. "return app.routes or {}",
      "returns a table, not an app made by perilune.app: end it with `return app`" },
    ["with a dot for a colon"] = { HEAD .. 'app.get("/", function() end)\nreturn app',
      "app.lua:3: app.get was called with a dot: use a colon (app:get)" },
    ["with a typo in its last call"] = { 'return require "perilune".app { nmae = "x" }',
      'app.lua: unknown option "nmae" (did you mean "name"?)' },
    ["with a function that there is not"] = { HEAD .. "perilune.blockng(print)",
      "app.lua:3: there is no perilune.blockng (did you mean perilune.blocking?)" },
    ["with a handler that is nil"] = { HEAD .. 'app:get("/", handler)\nreturn app',
      "app.lua:3: the handler of / is nil, not a function: is its name right, and is it defined" },
    ["with a handler that was called"] = { HEAD .. 'app:get("/", tostring(1))\nreturn app',
      "the handler of / is a string, not a function: give the function itself, without calling" },
    ["with another server's parameters"] = {
      HEAD .. 'app:get("/users/:id/x", print)\nreturn app',
      'the path "/users/:id/x": a parameter is written {id}, not :id' },
    ["without a require"] = { "local app = perilune.app {}",
      '(global \'perilune\'): local perilune = require "perilune" is missing at the top' },
    ["that schedules"] = { HEAD .. "app.tasks:schedule(print)\nreturn app",
      "app.lua:3: nothing can be scheduled while the app loads: use app:on_start" },
  }
  for name, case in pairs(wrong) do
    it(name .. " is told so", function() contains(load_error(case[1]), case[2]) end)
  end
end)

describe("a directory", function()
  it("without an app is told how to make one", function()
    local directory = program.make_directory()
    for _, command in ipairs { "serve", "routes" } do
      contains(program.run({ command, directory }).err,
        directory .. " has no app.lua (perilune new PATH makes an app)")
    end
    program.remove_directory(directory)
  end)

  it("without specs is told where they go", function()
    for _, files in ipairs { {}, { ["spec/readme.txt"] = "" } } do
      files["app.lua"] = HEAD .. "return app"
      local directory = program.make_directory(files)
      local result = program.run { "test", directory .. "/" }
      program.remove_directory(directory)
      assert.equal(1, result.code)
      contains(result.err, ("has no specs: write %s/spec/NAME_spec.lua"):format(directory))
    end
  end)
end)

describe("spec/apps/mistakes", function()
  local started

  setup(function() started = server.start "spec/apps/mistakes" end)
  teardown(function() started:kill() end)

  local function get(path)
    local client = raw.connect(started.port)
    client:send(("GET %s HTTP/1.1\r\nHost: h\r\n\r\n"):format(path))
    local response = client:receive_response()
    client:close()
    return response
  end

  --- The log line of a failed handler.
  local function failure(path)
    assert.equal(500, get(path).status)
    local line = started:wait_log("(handler failed method=GET target=" .. path .. "[^\n]*)\n")
    return assert(line, started:log())
  end

  it("names the nearest option of every table of options", function()
    local nearest = {
      app = "pools", pools = "threads", task_defaults = "retries", router = "prefix",
      group = "middleware", mount = "name", route = "timeout", cors = "origins",
      static = "max_age", blocking = "pool", background = "queue", response = "status",
      stream = "headers", sse = "keep_alive", file = "max_age", cookie = "http_only",
      run_blocking = "timeout", map = "limit", http = "timeout", json = "null", task = "name",
      backoff = "initial", ["req:json"] = "null",
    }
    local messages = require "perilune.json".decode(get("/typos").body)
    for name, message in pairs(messages) do
      assert(nearest[name], name)
      assert.is_truthy(message:find "spec/apps/mistakes/app%.lua:%d+: ", name .. ": " .. message)
      contains(message, ('(did you mean "%s"?)'):format(nearest[name]))
      nearest[name] = nil
    end
    assert.is_nil(next(nearest))
  end)

  it("says what to send instead of a file, and where", function()
    local line = failure "/userdata"
    contains(line, "argument 1.out (userdata) cannot be sent to another Lua state")
    contains(line, "advice=\"each state has its own: open files and connections in the function")
    assert.is_truthy(line:find "handler=spec/apps/mistakes/app%.lua:%d+", line)
  end)

  it("says what to return instead of nil, and where", function()
    local line = failure "/nil"
    contains(line, "the handler returned nil: return a string, a table, a status (return 204)")
    assert.is_truthy(line:find "handler=spec/apps/mistakes/app%.lua:%d+", line)
  end)

  it("says how a task's arguments are given", function()
    contains(failure "/called", "the function is a no value: give both apart, as in (send, id)")
  end)

  it("says when routes are added", function()
    contains(failure "/late", "are added while the app loads, not later")
  end)

  it("says what to do about a port in use", function()
    local result = program.run { "serve", program.root() .. "/spec/apps/mistakes", "--port",
      tostring(started.port) }
    assert.equal(1, result.code)
    contains(result.err, "address already in use (end what listens there, or choose --port)")
  end)
end)
