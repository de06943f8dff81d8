-- new_spec.lua - `perilune new`: what it makes, what it prints, what it refuses.
--
-- Works in a directory of its own; the commands that it prints are run as they stand there.

local lfs = require "lfs"
local program = require "support.program"
local raw = require "support.raw"
local server = require "support.server"

local directory, started

before_each(function() directory = program.make_directory() end)

after_each(function()
  if started then started:kill() end
  started = nil
  program.remove_directory(directory)
end)

--- Runs words of the shell in the directory: output (errors with it), and whether it went well.
local function shell(words)
  local pipe = assert(io.popen(("cd '%s' && %s 2>&1 </dev/null"):format(directory, words)))
  return pipe:read "a", pipe:close() == true
end

local function make(...)
  return shell(program.quote { program.binary(), "new", ... })
end

local function expect_failure(words, ...)
  local output, ok = make(...)
  assert.is_false(ok)
  assert.is_truthy(output:find "^perilune: [^\n]+\n$", output)
  assert.is_truthy(output:find(words, 1, true), output)
end

--- The commands that `new` has printed, in order, without what stands behind them.
local function printed_commands(output)
  local commands = {}
  for command in output:gmatch "\n  ([^\n#]+)  #" do commands[#commands + 1] = command end
  return commands
end

describe("perilune new", function()
  it("makes an app with its specs and an editor's settings", function()
    local output, ok = make "apps/shop"
    assert.is_true(ok, output)
    local made = "made apps/shop: app.lua, conf.lua, spec/app_spec.lua, .luarc.json"
    assert.is_truthy(output:find(made, 1, true), output)
    local app = directory .. "/apps/shop/"
    assert.is_truthy(program.read(app .. "app.lua"):find('name = "shop"', 1, true))
    assert.is_truthy(program.read(app .. "spec/app_spec.lua"):find('describe("shop"', 1, true))
    local library = program.read(app .. ".luarc.json"):match '"([^"]+/perilune/types)"'
    assert.equal("file", lfs.attributes(library .. "/perilune.lua", "mode"))
  end)

  it("prints commands that work from where it was run", function()
    local output = make "my apps/shop-2"
    local commands = printed_commands(output)
    assert.equal(4, #commands, output)
    for _, command in ipairs(commands) do
      local name = command:match "perilune'? (%a+)"
      if name == "serve" or name == "dev" then
        started = server.launch(("env -C '%s' PERILUNE_PORT=0 %s"):format(directory, command))
        local client = raw.connect(started:wait_listening().port)
        client:send "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
        assert.equal('{"message":"Hello, World!"}', client:receive_response().body)
        client:close()
        assert.equal(0, started:stop())
        started = nil
      else
        local text, ok = shell(command)
        assert.is_true(ok, command .. "\n" .. text)
        if name == "test" then assert.is_truthy(text:find("3 passed, 0 failed", 1, true), text) end
      end
    end
  end)

  it("makes what luacheck has nothing to say to", function()
    if not os.execute "command -v luacheck >/dev/null 2>&1" then
      pending "luacheck is not installed"
      return
    end
    make "shop"
    local output, ok = shell "luacheck --no-color --std lua54+busted shop"
    assert.is_true(ok, output)
  end)

  it("takes an empty directory, and no other", function()
    assert(lfs.mkdir(directory .. "/shop"))
    local output, ok = make "shop/"
    assert.is_true(ok, output)
    expect_failure("the directory shop is there already and not empty", "shop")
    program.write(directory .. "/file", "")
    expect_failure("file is there already, and no directory", "file")
    expect_failure("cannot make the directory file/x", "file/x")
  end)

  it("refuses what is no name", function()
    expect_failure("is no name for an app", "apps/2nd")
    expect_failure("is no name for an app", "..")
    expect_failure("is no name for an app", "a b")
    expect_failure "usage: perilune new PATH"
    assert.is_nil(lfs.attributes(directory .. "/apps"))
  end)
end)
