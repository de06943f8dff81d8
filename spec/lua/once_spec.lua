-- once_spec.lua - req:once: made once, waited for, closed in reverse order at the end.
--
-- spec/apps/once runs as a process of its own. The events of a request on the event loop are asked
-- of /events, those of a blocking handler are in a file that the request names.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local app

setup(function() app = site.start("once", { "--workers", "1" }) end)
teardown(function() app:kill() end)

local function until_events(wanted, get)
  local list = {}
  wait.wait_until(function()
    for _, event in ipairs(get()) do list[#list + 1] = event end
    return #list >= #wanted
  end, nil, "the events")
  assert.same(wanted, list)
end

--- Asks for a plain handler; gives the response once the events are as wanted.
local function ask(name, wanted)
  app:get("/events")
  local res = app:get("/" .. name)
  until_events(wanted, function() return app:get("/events"):json() end)
  return res
end

--- Asks for a blocking handler: what it made is closed when it has answered.
local function ask_blocking(name, wanted)
  local path = os.tmpname()
  local res = app:get(("/blocking/%s?path=%s"):format(name, path))
  local list = {}
  for line in program.read(path):gmatch "[^\n]+" do list[#list + 1] = line end
  os.remove(path)
  assert.same(wanted, list)
  return res
end

for colour, ask_for in pairs { plain = ask, blocking = ask_blocking } do
  describe("req:once in a " .. colour .. " handler", function()
    it("makes a value once and closes in reverse order", function()
      local res = ask_for("twice", { "make a", "make b", "close b", "close a" })
      assert.same({ same = true, name = "b" }, res:json())
    end)

    it("lets others wait for the one that makes it", function()
      assert.is_true(ask_for("together", { "make a", "close a" }):json().same)
    end)

    it("does not keep an error", function()
      local results = ask_for("fails", { "close 3" }):json()
      assert.equal("try1", table.remove(results, 1))
      table.sort(results, function(a, b) return tostring(a) < tostring(b) end)
      assert.same({ 3, 3, "try2" }, results)
    end)

    it("keeps nil and the first result", function()
      assert.same({ "nil", "nil", 1, 1, 1 }, ask_for("nothing", {}):json())
    end)

    it("closes the others when one close fails", function()
      local res = ask_for("bad_close", { "make first", "make last", "close last", "close first" })
      assert.equal("answered", res.body)
      local line = "closing what req:once made failed[^\n]*/bad_close[^\n]*bad close"
      wait.wait_until(function() return app:log():find(line) end, nil, "the log")
    end)

    it("closes when the handler fails or aborts", function()
      assert.equal(500, ask_for("error", { "make a", "close a" }).status)
      assert.equal(404, ask_for("abort", { "make a", "close a" }).status)
    end)

    it("is told at its line what it is called wrongly with", function()
      local messages = ask_for("wrong", {}):json()
      for i, wanted in ipairs {
        "takes a key, not nil", "takes a key, not %-?nan",
        "a function that makes the value, not a nil",
        "a function that closes the value, not a number", "use a colon",
      } do
        assert.is_truthy(messages[i]:find(wanted), messages[i])
      end
    end)

    it("cannot ask for itself", function()
      assert.equal(500, ask_for("circle", {}).status)
      wait.for_log(app, 'app.lua:%d+: req:once%(\\"c\\"%) is asked for by')
    end)
  end)
end

describe("req:once", function()
  it("closes after the stream", function()
    local res = ask("stream", { "make a", "streamed", "close a" })
    assert.equal("one a", res.body)
    local path = os.tmpname()
    assert.equal("one a", app:get("/blocking/stream?path=" .. path).body)
    wait.wait_until(function()
      return program.read(path) == "make a\nstreamed\nclose a\n"
    end, nil, "the events")
    os.remove(path)
  end)

  it("is one for middleware and handler", function()
    local res = ask("middleware", { "make a", "proceeded", "close a" })
    assert.same({ "a", "a" }, { res.body, res.headers["x-name"] })
  end)

  it("works where no handler was found", function()
    assert.equal("missing", ask("none", { "make missing", "close missing" }).body)
  end)

  it("is over with the request", function()
    app:get("/events")
    assert.equal("early", app:get("/missing/late").body)
    local events
    wait.wait_until(function()
      events = app:get("/events"):json()
      return #events > 0
    end, nil, "the task")
    assert.is_truthy(events[1]:find 'false .*req:once%("late"%): the request has ended', events[1])
  end)

  it("closes at once what comes too late", function()
    app:get("/events")
    app:get("/child")
    local events = {}
    wait.wait_until(function()
      for _, event in ipairs(app:get("/events"):json()) do events[#events + 1] = event end
      return #events >= 2
    end, nil, "the task")
    assert.equal("close value", events[1])
    assert.is_truthy(events[2]:find "false .*the request has ended", events[2])
  end)
end)
