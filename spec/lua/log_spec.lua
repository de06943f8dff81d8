-- log_spec.lua - perilune.log from Lua code: levels, fields, the request's id, hostile text.
--
-- A server process writes, plain and from the pool; the lines are read from its standard error.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local json = require "perilune.json"
local site = require "support.site"
local wait = require "support.wait"

local colours = { plain = "", blocking = "/blocking" }

describe("a log", function()
  local server

  setup(function() server = site.start("log", { "--log-level", "info" }) end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  for colour, prefix in pairs(colours) do
    --- Asks for a line and gives it, found by its request's id, and the id.
    local function line_of(path)
      local id = server:get(prefix .. path).body
      return wait.for_log(server, "([^\n]*request=" .. id .. ")\n"), id
    end

    it(("has levels, times and the request's id, from a %s handler"):format(colour), function()
      for _, level in ipairs { "info", "warn", "error" } do
        local line = line_of("/level?level=" .. level)
        local time = "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ "
        assert.is_truthy(line:find(time .. level .. " +at " .. level .. " request=%x+$"), line)
      end
    end)

    it(("leaves out what is below its level, from a %s handler"):format(colour), function()
      assert.equal(200, server:get(prefix .. "/level?level=debug").status)
      line_of "/level?level=info"
      assert.is_nil(server:log():find "at debug")
    end)

    it(("has fields in the order of their names, from a %s handler"):format(colour), function()
      local line = line_of "/fields"
      assert.is_truthy(line:find('with fields bare=word empty="" list=', 1, true), line)
      local rest = ' n=7 null=null text="two words" x=1.5 yes=true request='
      assert.is_truthy(line:find(rest, 1, true), line)
    end)

    it(("keeps hostile text on its line, from a %s handler"):format(colour), function()
      local line = line_of "/hostile"
      assert.is_truthy(line:find([[info  first\n2026-01-01T00:00:00.000Z error forged]], 1, true),
        line)
      assert.is_truthy(line:find([[a_b_c="x\ny=\"z\\"]], 1, true), line)
      assert.is_truthy(line:find([[\x1b[31m]], 1, true), line)
      assert.is_truthy(line:find([[\xff\x00]], 1, true), line)
    end)

    it(("refuses what is no line, from a %s handler"):format(colour), function()
      assert.same({ true, true, true, true }, server:get(prefix .. "/misuse"):json())
    end)
  end
end)

describe("a log in JSON", function()
  it("has one object for each line", function()
    local server = site.start("log", { "--log-level", "debug", "--log-format", "json" })
    local id = server:get("/fields").body
    local text = wait.for_log(server, "([^\n]*" .. id .. "[^\n]*)\n")
    local line = json.decode(text)
    assert.equal("with fields", line.message)
    assert.equal("info", line.level)
    assert.equal(id, line.request)
    assert.same({ 7, 1.5, true, "", "two words" },
      { line.n, line.x, line.yes, line.empty, line.text })
    assert.equal(0, server:stop())
  end)
end)
