-- newcomer_spec.lua - the first hour of somebody new, as a script: new, dev, edit, break, mend, ...
--
-- The commands are those that `perilune new` prints, run where it was run; the outputs are compared
-- with what the person is meant to see, but for times, ports and what is counted in seconds.

local json = require "perilune.json"
local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local LIMIT_S = 30
local place, started

setup(function() place = program.make_directory() end)

teardown(function()
  if started then started:kill() end
  program.remove_directory(place)
end)

--- Runs words of the shell in the directory; output with errors, and the exit code.
local function shell(words)
  local pipe = assert(io.popen(("cd '%s' && %s 2>&1 </dev/null"):format(place, words)))
  local output = pipe:read "a"
  local _, _, code = pipe:close()
  return output, code
end

local function start(words)
  started = server.launch(("env -C '%s' PERILUNE_PORT=0 NO_COLOR=1 %s"):format(place, words))
  started:wait_listening()
end

--- What is in the log, without times, and with fixed ports and ids.
local function log()
  return (started:log():gsub("%d%d%d%d%-%d%d%-%d%dT%S+Z ", ""):gsub("(127%.0%.0%.1):%d+", "%1:0")
    :gsub("request=%x+", "request=0"))
end

local function get(target, headers)
  local client = raw.connect(started.port)
  client:send(("GET %s HTTP/1.1\r\nHost: h\r\n%s\r\n"):format(target, headers or ""))
  local response = client:receive_response()
  client:close()
  return response
end

local function edit(name, from, to)
  local path = place .. "/apps/shop/" .. name
  local text = program.read(path)
  local first, last = text:find(from, 1, true)
  assert(first, name .. " has no " .. from)
  program.write(path, text:sub(1, first - 1) .. to .. text:sub(last + 1))
end

local function wait(check)
  return assert.is_truthy(program.wait(LIMIT_S, check), log())
end

local function wait_message(message)
  wait(function() return get("/").body == json.encode { message = message } end)
end

local commands, hour = {}, {}

function hour.new()
  local word = program.quote { program.binary() }
  local output, code = shell(word .. " new apps/shop")
  assert.equal(0, code)
  local expected = [[
made apps/shop: app.lua, conf.lua, spec/app_spec.lua, .luarc.json

  PROGRAM dev    apps/shop   # serves it on http://127.0.0.1:8080, anew on each change
  PROGRAM test   apps/shop   # runs its specs
  PROGRAM check  apps/shop   # looks for mistakes
  PROGRAM serve  apps/shop   # serves it to others
]]
  for name in expected:gmatch "PROGRAM (%a+)" do
    commands[name] = output:match("\n  (%S+ " .. name .. "%s+apps/shop)")
    assert.is_string(commands[name], output)
  end
  assert.equal((expected:gsub("PROGRAM", function() return program.binary() end)), output)
end

function hour.dev()
  start(commands.dev)
  assert.equal('{"message":"Hello, World!"}', get("/").body)
  assert.equal("info  listening url=http://127.0.0.1:0 workers=1\n", log())
end

function hour.edit()
  edit("app.lua", "World", "Moon")
  wait_message "Hello, Moon!"
  edit("conf.lua", "Hello", "Good evening")
  wait_message "Good evening, Moon!"
end

function hour.break_it()
  edit("app.lua", "return app\n", "")
  wait(function() return get("/").headers["x-perilune-load-error"] end)
  local problem = "apps/shop/app.lua returns nothing: end it with `return app`"
  local response = get "/"
  assert.equal(problem, response.headers["x-perilune-load-error"])
  assert.equal('{"message":"Good evening, Moon!"}', response.body)
  assert.is_truthy(log():find("\nperilune: " .. problem .. "\n", 1, true), log())
end

function hour.mend()
  edit("app.lua", 'app:get("/primes', 'app:get("/typo", function(req) return req.quary.x end)\n\n'
    .. 'app:get("/primes')
  program.write(place .. "/apps/shop/app.lua",
    program.read(place .. "/apps/shop/app.lua") .. "return app\n")
  wait(function() return get("/typo").status == 500 end)
  assert.is_nil(get("/").headers["x-perilune-load-error"])
  local page = get("/typo", "Accept: text/html\r\n")
  assert.is_truthy(page.body:find("app.lua:34: attempt to index a nil value (field 'quary')", 1,
    true), page.body)
  assert.is_truthy(page.body:find('<mark>   34  app:get(&quot;/typo&quot;', 1, true), page.body)
  edit("app.lua", "quary", "query")
  wait(function() return get("/typo?x=7").body == "7" end)
end

function hour.test()
  local output, code = shell(commands.test .. " --output TAP")
  assert.equal(1, code)
  assert.is_truthy(output:find("2 passed, 1 failed", 1, true), output)
  edit("spec/app_spec.lua", "Hello, World!", "Good evening, Moon!")
  output, code = shell(commands.test .. " --output TAP")
  assert.equal(0, code, output)
  assert.is_truthy(output:find("3 passed, 0 failed", 1, true), output)
end

function hour.check()
  local output, code = shell(commands.check)
  assert.equal(0, code, output)
  assert.is_truthy(output:find "^nothing found", output)
end

function hour.stop()
  assert.equal(0, started:stop "INT")
  assert.is_truthy(log():find("info  stopping signal=SIGINT\n", 1, true), log())
  started = nil
end

function hour.serve()
  start(commands.serve)
  assert.equal('{"message":"Good evening, Moon!"}', get("/").body)
  assert.same({ limit = 100, primes = 25 }, json.decode(get("/primes/100").body))
  assert.equal('{"detail":"Not Found"}', get("/none").body)
  assert.equal(0, started:stop "TERM")
  started = nil
end

describe("a newcomer's hour", function()
  it("goes as the commands say", function()
    for _, step in ipairs { "new", "dev", "edit", "break_it", "mend", "test", "check", "stop",
      "serve" } do
      hour[step]()
    end
  end)
end)
