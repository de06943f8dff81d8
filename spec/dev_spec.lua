-- dev_spec.lua - `perilune dev`: new versions in place of old ones, and what is shown of errors.
--
-- Files are changed as editors do it; each change is awaited by what the server logs or answers.

local json = require "perilune.json"
local lfs = require "lfs"
local dev = require "support.dev"
local program = require "support.program"
local raw = require "support.raw"

local started

local function start(files, options)
  started = dev.start(files, options)
  return started
end

after_each(function()
  if started then started:kill() end
  started = nil
end)

local function text_app(text)
  return dev.app(('app:get("/", function() return %q end)'):format(text))
end

local function contains(text, words)
  assert.is_truthy(text:find(words, 1, true), ("no %q in:\n%s"):format(words, text))
end

local function contains_not(text, words)
  assert.is_nil(text:find(words, 1, true), text)
end

describe("a change of the files", function()
  it("is served, however it is written", function()
    local app = start { ["app.lua"] = text_app "one" }
    assert.equal("one", app:get("/").body)
    app:reload("app.lua", text_app "two")
    assert.equal("two", app:get("/").body)
    app:change("reloaded\n", function() -- as vim does: a backup, then a new file
      assert(os.rename(app.dir .. "/app.lua", app.dir .. "/app.lua~"))
      app:write("app.lua", text_app "three")
    end)
    assert.equal("three", app:get("/").body)
    app:change("reloaded\n", function() -- as others do: a temporary file is renamed over it
      app:write(".app.lua.swp", text_app "four")
      assert(os.rename(app.dir .. "/.app.lua.swp", app.dir .. "/app.lua"))
    end)
    assert.equal("four", app:get("/").body)
    assert.equal(3, app:count "reloaded\n")
  end)

  it("may be a new file or directory, a change in it, or its end", function()
    local app = start { ["app.lua"] = dev.app [[
      local ok, found = pcall(require, "models.user")
      app:get("/", function() return ok and found.name or "none" end)]] }
    assert.equal("none", app:get("/").body)
    app:reload("models/user.lua", 'return { name = "Ann" }')
    app:wait_body("/", "Ann")
    app:reload("models/user.lua", 'return { name = "Bob" }')
    app:wait_body("/", "Bob")
    app:change("reloaded\n", os.remove, app.dir .. "/models/user.lua")
    app:wait_body("/", "none")
  end)

  it("is none where the app does not load it from", function()
    local app = start { ["app.lua"] = text_app "one" }
    app:write("spec/app_spec.lua", "")
    app:write("data.db", "x")
    app:write(".git/HEAD.lua", "x")
    app:write("#app.lua", "x")
    app:reload("app.lua", text_app "two")
    assert.equal(1, app:count "reloaded\n")
  end)

  it("takes the app's settings of conf.lua, and says what is wrong there", function()
    local app = start {
      ["app.lua"] = dev.app 'app:get("/", function() return app.settings.name end)',
      ["conf.lua"] = 'return { settings = { name = "one" } }',
    }
    assert.equal("one", app:get("/").body)
    app:reload("conf.lua", 'return { settings = { name = "two" } }')
    assert.equal("two", app:get("/").body)
    app:break_with("conf.lua", "return { prot = 1 }")
    contains(app:log(), 'conf.lua: unknown setting "prot"; the nearest is port')
    assert.equal("two", app:get("/").body)
    app:reload("conf.lua", 'return { settings = { name = "three" } }')
    assert.equal("three", app:get("/").body)
  end)

  it("keeps idle connections, which go to the new version", function()
    local app = start { ["app.lua"] = text_app "one" }
    local clients = {}
    for i = 1, 20 do
      clients[i] = raw.connect(app.port)
      assert.equal("one", app:get("/", nil, clients[i]).body)
    end
    app:reload("app.lua", text_app "two")
    for _, client in ipairs(clients) do
      assert.equal("two", app:get("/", nil, client).body)
      client:close()
    end
  end)

  it("lets requests in flight end where they began", function()
    local slow = [[
      local gate = require "perilune.async".event()
      app:get("/wait", function() io.stderr:write("waiting\n") gate:wait() return "old" end)
      app:get("/", function() return "old" end)
      app:every(0.01, function()
        if io.open(app.dir .. "/go") then gate:set() end
      end)]]
    local app = start { ["app.lua"] = dev.app(slow) }
    local client = raw.connect(app.port)
    client:send "GET /wait HTTP/1.1\r\nHost: h\r\n\r\n"
    assert.is_truthy(app.server:wait_log "waiting\n")
    app:reload("app.lua", text_app "new")
    assert.equal("new", app:get("/").body)
    app:write("go", "")
    assert.equal("old", client:receive_response().body)
    client:close()
    assert.equal("new", app:get("/").body)
  end)

  it("runs the hooks of both versions, and ends what the old one runs", function()
    local function hooked(name)
      return dev.app(([[
        local async = require "perilune.async"
        local function say(what) io.stderr:write(what, " %s\n") end
        local track = perilune.background("loop", function() async.sleep(60) end)
        perilune.loop("loop"):on_stop(function() say "loop stopped" end)
        app:on_start(function()
          say "started"
          app.tasks:task { on_cancel = function() say "task cancelled" end }:schedule(function()
            say "task runs"
            async.sleep(60)
          end)
          app.tasks:schedule(track)
        end)
        app:on_stop(function() say "stopped" end)
        app:get("/", function() return "%s" end)]]):format(name, name))
    end
    local app = start { ["app.lua"] = hooked "one" }
    assert.is_truthy(app.server:wait_log "task runs one\n")
    app:change("loop stopped one\n", app.write, app, "app.lua", hooked "two")
    local log = app:log()
    local last = 0
    for _, line in ipairs { "started one", "started two", "task cancelled one", "\nstopped one",
      "loop stopped one" } do
      local at = log:find(line, last + 1, true)
      assert.is_truthy(at, line .. " is not in its place:\n" .. log)
      last = at
    end
    contains_not(log, "stopped two")
    local code
    started = nil
    code, log = app:stop()
    assert.equal(0, code, log)
    contains(log, "\nstopped two")
    contains(log, "loop stopped two")
  end)

  it("may come while another one loads for ever", function()
    local app = start { ["app.lua"] = text_app "one" }
    app:change("loading\n", app.write, app, "app.lua",
      dev.app 'io.stderr:write("loading\\n") while true do end')
    assert.equal("one", app:get("/").body)
    app:reload("app.lua", text_app "two")
    assert.equal("two", app:get("/").body)
  end)

  it("serves files fresh", function()
    local app = start { ["app.lua"] = dev.app 'app:static("/s", "files", { max_age = 60 })',
      ["files/a.txt"] = "one", ["public/b.txt"] = "one" }
    for _, path in ipairs { "/s/a.txt", "/b.txt" } do
      local response = app:get(path)
      assert.equal("one", response.body)
      assert.equal("no-store", response.headers["cache-control"])
    end
    app:write("files/a.txt", "two")
    app:write("public/b.txt", "two")
    app:write("public/c.txt", "two")
    for _, path in ipairs { "/s/a.txt", "/b.txt", "/c.txt" } do
      assert.equal("two", app:get(path).body)
    end
  end)
end)

describe("a version that does not load", function()
  local PAGE = [[
    app:get("/", function() return perilune.html "<p>good</p>" end)
    app:get("/json", function() return { good = true } end)
    app:get("/stream", function()
      return perilune.stream({ headers = { ["Content-Type"] = "text/html" } }, function(write)
        write "<p>streamed</p>"
      end)
    end)]]

  it("leaves the last good one, which shows why", function()
    local app = start { ["app.lua"] = dev.app(PAGE),
      ["public/page.html"] = "<p>file</p>", ["public/a.txt"] = "text" }
    contains_not(app:get("/").body, "perilune-load-error")
    app:break_with("app.lua", dev.app(PAGE) .. 'x = "<script>" = 1\n')
    local shown = app:log():match "\nperilune: ([^\n]+app%.lua:%d+: [^\n]+)\n"
    assert.is_truthy(shown, app:log())
    for path, body in pairs { ["/"] = "<p>good</p>", ["/stream"] = "<p>streamed</p>",
      ["/page.html"] = "<p>file</p>" } do
      local response = app:get(path)
      assert.equal(200, response.status)
      assert.equal(body, response.body:sub(1, #body))
      contains(response.body, "perilune-load-error")
      contains(response.body, "app.lua:")
      contains_not(response.body, "<script>")
      assert.equal("no-store", response.headers["cache-control"])
      assert.is_nil(response.headers.etag)
    end
    for path, body in pairs { ["/json"] = '{"good":true}', ["/a.txt"] = "text" } do
      local response = app:get(path)
      assert.equal(body, response.body)
      assert.equal(shown, response.headers["x-perilune-load-error"])
    end
    assert.equal(shown, app:get("/none").headers["x-perilune-load-error"])
    app:reload("app.lua", dev.app(PAGE))
    local response = app:get("/")
    assert.equal("<p>good</p>", response.body)
    assert.is_nil(response.headers["x-perilune-load-error"])
  end)

  it("may be one whose on_start fails", function()
    local app = start { ["app.lua"] = text_app "one" }
    app:break_with("app.lua", dev.app 'app:on_start(function() error "no database" end)')
    contains(app:get("/").headers["x-perilune-load-error"], "no database")
    assert.equal("one", app:get("/").body)
  end)

  it("is served as an error where there is no good one, until there is", function()
    local app = start { ["app.lua"] = "\n\nreturn nothing.here\n" }
    local response = app:get("/any/path?x=1")
    assert.equal(500, response.status)
    local answer = json.decode(response.body)
    assert.equal("The app does not load", answer.detail)
    contains(answer.error, "app.lua:3: attempt to index a nil value (global 'nothing')")
    response = app:get("/", { "Accept: text/html,*/*" })
    assert.equal(500, response.status)
    assert.equal("text/html; charset=utf-8", response.headers["content-type"])
    contains(response.body, "<mark>    3  return nothing.here</mark>")
    app:break_with("app.lua", "return {}")
    assert.is_truthy(program.wait(30, function()
      return app:get("/").body:find("returns a table, not an app made by perilune.app", 1, true)
    end))
    app:write("app.lua", text_app "good")
    app:wait_body("/", "good")
  end)
end)

describe("an error of a handler", function()
  local FAILING = [[
    local function fail(req) error("bad <b>" .. req.query.x .. "</b>") end
    app:get("/fail", fail)
    app:get("/under", { middleware = { function(_, proceed) return proceed() end } }, fail)
    app:get("/pool", perilune.blocking(function() error "in the pool" end))
    app:get("/library", function() return async.sleep(1) end)
    app:get("/abort", function() perilune.abort(418, "teapot") end)
    app:get("/nothing", function() end)
    app:get("/global", function() count = (count or 0) + 1 return { count } end)
    app:get("/shell", function() os.execute "true" return "done" end)]]

  it("is shown as JSON, with its traceback", function()
    local app = start { ["app.lua"] = dev.app(FAILING) }
    for _, path in ipairs { "/fail", "/under" } do
      local response = app:get(path .. "?x=7")
      assert.equal(500, response.status)
      local answer = json.decode(response.body)
      assert.equal("Internal Server Error", answer.detail)
      contains(answer.error, "app.lua:3: bad <b>7</b>")
      contains(answer.traceback, "app.lua:3: in ")
    end
    local answer = json.decode(app:get("/pool").body)
    contains(answer.error, "in the pool")
    contains(answer.traceback, "app.lua:6: in function")
    contains(json.decode(app:get("/library").body).error,
      'local async = require "perilune.async" is missing at the top of the file')
    assert.equal('{"detail":"teapot"}', app:get("/abort").body)
    assert.equal('{"detail":"Not Found"}', app:get("/none").body)
  end)

  it("is shown as a page, with the lines around it and the request", function()
    local app = start { ["app.lua"] = dev.app(FAILING) }
    local response = app:get("/fail?x=7", { "Accept: text/html", "X-Mine: <i>" })
    assert.equal(500, response.status)
    assert.equal("no-store", response.headers["cache-control"])
    contains(response.body, "bad &lt;b&gt;7&lt;/b&gt;")
    contains(response.body, "<mark>    3      local function fail(req) error(")
    contains(response.body, "GET /fail?x=7")
    contains(response.body, "x-mine: &lt;i&gt;")
    contains(response.body, "stack traceback:")
    contains_not(response.body, "<b>7")
  end)

  it("is warned of where it is none yet", function()
    local app = start { ["app.lua"] = dev.app(FAILING) }
    assert.equal(204, app:get("/nothing").status)
    assert.equal("[1]", app:get("/global").body)
    assert.equal("[2]", app:get("/global").body)
    assert.equal("done", app:get("/shell").body)
    local log = app:log()
    contains(log, "a GET handler returned nothing: 204 route=/nothing handler=")
    assert.equal(1, app:count "a handler writes a global", log)
    assert.is_truthy(log:find "a handler writes a global[^\n]* global=count", log)
    contains(log, "os.execute holds the event loop at=")
  end)
end)

describe("perilune dev", function()
  it("ends at once, whatever is in flight", function()
    local app = start { ["app.lua"] = dev.app [[
      app:get("/", function() io.stderr:write "waiting\n" require "perilune.async".sleep(600) end)
      app:on_stop(function() io.stderr:write "stopped\n" end)]] }
    local client = raw.connect(app.port)
    client:send "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    assert.is_truthy(app.server:wait_log "waiting\n")
    started = nil
    local code, log = app:stop()
    client:close()
    assert.equal(0, code, log)
    contains(log, "\nstopped\n")
  end)

  it("ends while it serves nothing but an error, and while it loads", function()
    local app = start { ["app.lua"] = "return 1" }
    started = nil
    assert.equal(0, (app:stop "TERM"))
    app = start { ["app.lua"] = text_app "one" }
    app:change("loading\n", app.write, app, "app.lua",
      dev.app 'io.stderr:write("loading\\n") require "perilune.async".sleep(600)')
    started = nil
    assert.equal(0, (app:stop()))
  end)

  it("has the options of serve, but for --workers", function()
    local help = program.run({ "dev", "--help" }).out
    contains(help, "--port")
    contains_not(help, "--workers")
    local result = program.run { "dev", "/no/such/dir" }
    assert.equal(1, result.code)
    contains(result.err, "no such directory")
    result = program.run { "dev", lfs.currentdir(), "--prot", "1" }
    assert.equal(2, result.code)
    contains(result.err, "--port")
  end)

  it("logs in colour to a terminal, and only there", function()
    local app = start { ["app.lua"] = text_app "one" }
    contains_not(app:log(), "\27[")
  end)

  it("logs text to people wherever it goes, JSON when asked to", function()
    local app = start { ["app.lua"] = text_app "one" }
    assert.is_truthy(app:log():find " info  listening url=http://", app:log())
    app:stop()
    app = start({ ["app.lua"] = text_app "one" }, { "--log-format", "json" })
    contains(app:log(), '"level":"info","message":"listening","url":"http://')
  end)
end)
