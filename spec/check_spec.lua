-- check_spec.lua - `perilune check`: what it finds, and that it claims nothing else.
--
-- The lines of spec/apps/check that are wrong say so themselves.

local program = require "support.program"

local APP = "spec/apps/check/"

--- The places in a file whose line has the word.
local function places_of(name, word)
  local places, number = {}, 0
  for line in program.read(program.root() .. "/" .. APP .. name):gmatch "([^\n]*)\n" do
    number = number + 1
    if line:find(word) then places[#places + 1] = ("%s%s:%d"):format(APP, name, number) end
  end
  return places
end

local function check_text(text)
  local directory = program.make_directory { ["app.lua"] = text }
  local result = program.run { "check", directory }
  program.remove_directory(directory)
  result.out = result.out:gsub(directory:gsub("%p", "%%%0") .. "/", "")
  return result
end

local HEAD = 'local app = require "perilune".app {}\n'

describe("perilune check", function()
  it("finds what holds the loop or cannot be sent, and nothing else", function()
    local result = program.run { "check", program.root() .. "/" .. APP }
    local found = {}
    for line in result.out:gmatch "[^\n]+" do
      local place = line:match "(spec/apps/check/%S+:%d+): "
      if place then found[#found + 1] = place end
    end
    local expected = places_of("app.lua", "%-%- wrong")
    table.move(places_of("helpers.lua", "%-%- wrong"), 1, 1, #expected + 1, expected)
    assert.same(expected, found, result.out)
    assert.equal(1, result.code, result.err)
    assert.is_truthy(result.out:find(("\n%d problems"):format(#expected), 1, true), result.out)
    assert.is_truthy(result.out:find("upvalue out (userdata) cannot be sent to another Lua state; "
      .. "make it inside the function", 1, true), result.out)
  end)

  it("has nothing to say to the apps of the tutorial", function()
    for _, name in ipairs { "hello", "tasks", "dashboard", "board" } do
      local result = program.run { "check", program.root() .. "/apps/" .. name }
      assert.equal(0, result.code, result.out .. result.err)
      assert.is_truthy(result.out:find "^nothing found", result.out)
    end
  end)

  it("lists all routes that clash", function()
    local result = check_text(HEAD .. [[
app:get("/a/{x:int}", function() end)
app:get("/a/{y:int}", function() end)
app:get("/a/{y}", function() end)
app:post("/b", function() end)
app:post("/b", function() end)
return app
]])
    assert.equal(1, result.code)
    assert.is_truthy(result.out:find("app.lua:3: GET /a/{y:int} is there already, at ", 1, true),
      result.out)
    assert.is_truthy(result.out:find("app.lua:6: POST /b is there already, at ", 1, true))
    assert.is_truthy(result.out:find("2 problems", 1, true), result.out)
  end)

  it("says why an app does not load", function()
    local result = check_text(HEAD)
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find("returns nothing: end it with `return app`", 1, true))
  end)

  it("tells what luacheck finds, with busted's words in specs", function()
    if not os.execute "command -v luacheck >/dev/null 2>&1" then
      pending "luacheck is not installed"
      return
    end
    local directory = program.make_directory {
      ["app.lua"] = HEAD .. 'app:get("/", function(req) count = 1 end)\nreturn app\n',
      ["spec/app_spec.lua"] = "describe('x', function() end)\n",
    }
    local result = program.run { "check", directory }
    program.remove_directory(directory)
    assert.equal(1, result.code)
    assert.is_truthy(result.out:find("app.lua:2:28: setting non-standard global variable 'count'",
      1, true), result.out)
    assert.is_truthy(result.out:find("\n1 problem\n", 1, true), result.out)
  end)

  it("is a wrong command line without a directory", function()
    local result = program.run { "check" }
    assert.equal(2, result.code)
    assert.is_truthy(result.err:find("usage: perilune check DIR", 1, true))
  end)
end)
