-- middleware_spec.lua - middleware and proceed(): order, what is seen, what may be answered.
--
-- spec/apps/middleware runs as a process of its own, whose log tells what failed. Each kind of
-- handler is asked as a plain and as a blocking one.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local site = require "support.site"
local wait = require "support.wait"

local app

setup(function() app = site.start("middleware", { "--workers", "1" }) end)
teardown(function() app:kill() end)

local function log_line(pattern)
  return app:log():match(pattern)
end

describe("the order", function()
  it("is app, mount, group, route, each in order of writing", function()
    local down = { "group1", "group2", "mount", "router1", "router2", "route1", "route2" }
    local words = {}
    for i, word in ipairs(down) do
      words[i] = "+" .. word
      if i > 1 then words[2 * #down - i + 1] = "-" .. word end
    end
    local wanted = table.concat(words, " ") .. " -group1"
    assert.equal(wanted, app:get("/order/mount/router/route").headers["x-order"])
    assert.equal(wanted, app:get("/order/mount/router/blocking/route").headers["x-order"])
  end)

  it("is of the group alone for the group's own route", function()
    local res = app:get("/order/plain")
    assert.equal("+group1 +group2 -group2 -group1", res.headers["x-order"])
    assert.equal("plain", res.body)
  end)
end)

describe("proceed() gives a response object for", function()
  local TEXT, JSON = "text/plain; charset=utf-8", "application/json"
  local ERROR = '{"detail":"Internal Server Error"}'
  -- status, body, type, error (a pattern), further headers
  local seen = {
    text = { 200, "text", TEXT },
    table = { 200, '{"a":1}', JSON },
    status = { 202, "nil", "nil" },
    nothing = { 204, "nil", "nil" },
    several = { 201, "made", TEXT, nil, { ["x-several"] = "1, 2" } },
    object = { 200, '{"b":2}', JSON, nil, { ["x-own"] = "1" } },
    kept = { 201, "kept", TEXT, nil, { ["x-kept"] = "1, 2" } },
    html = { 200, "<p>", "text/html; charset=utf-8" },
    redirect = { 302, "nil", "nil", nil, { location = "/there" } },
    abort = { 403, '{"detail":"not yours"}', JSON, "403: not yours", { ["x-why"] = "because" } },
    error = { 500, ERROR, JSON, "oops" },
    error_table = { 500, ERROR, JSON, "table" },
    wrong = { 500, ERROR, JSON, "the handler returned nil" },
    wrong_json = { 500, ERROR, JSON, "not valid UTF%-8" },
    stream = { 200, "nil", TEXT },
  }

  for name, wanted in pairs(seen) do
    for _, colour in ipairs { "", "/blocking" } do
      it(name .. (colour == "" and "" or ", of a blocking handler"), function()
        for _ = 1, 2 do -- what is kept by the app is not changed for the next one
          local res = app:get(("/seen%s/%s"):format(colour, name))
          assert.equal(wanted[1], res.status)
          assert.equal(tostring(wanted[1]), res.headers["x-status"])
          assert.equal(wanted[2], res.headers["x-body"])
          assert.equal(wanted[3], res.headers["x-type"])
          assert.is_truthy(res.headers["x-error"]:find(wanted[4] or "^nil$"))
          for header, value in pairs(wanted[5] or {}) do
            assert.equal(value, res.headers[header])
          end
          local body = name == "stream" and "one,two" or wanted[2] == "nil" and "" or wanted[2]
          assert.equal(body, res.body)
        end
      end)
    end
  end
end)

describe("a middleware", function()
  local function ask(name) return app:get("/answer/" .. name) end

  local function count() return tonumber(ask("count").body) end

  it("may answer itself", function()
    local before = count()
    assert.same({ 403, "not below" }, { ask("own").status, ask("own").body })
    assert.equal('{"own":true}', ask("own_object").body)
    assert.same({ 401, '{"detail":"who?"}' }, { ask("own_abort").status, ask("own_abort").body })
    assert.equal(204, ask("own_nothing").status)
    assert.equal(before, count())
  end)

  it("may change the response, and replace it", function()
    assert.same({ 299, "changed below" }, { ask("changes").status, ask("changes").body })
    assert.equal("replaced", ask("replaces").body)
  end)

  it("that returns nothing gives what proceed() gave", function()
    assert.same({ "below", "return" }, { ask("forgets").body, ask("forgets").headers["x-forgot"] })
  end)

  it("that fails is logged and answered with 500", function()
    for name, message in pairs {
      own_error = "middleware oops",
      own_wrong = "the middleware returned true: return a string",
      fails_after = "after",
      twice = "proceed%(%) was called twice",
      leaves = "the middleware returned nil",
    } do
      local res = ask(name)
      assert.same({ 500, '{"detail":"Internal Server Error"}' }, { res.status, res.body }, name)
      local line = log_line(("\n[^\n]*error middleware failed[^\n]*/answer/%s [^\n]*"):format(name))
      assert.is_truthy(line and line:find(message), line or name)
    end
  end)

  it("that breaks the response is told what is wrong with it", function()
    for name, message in pairs {
      breaks = 'header \\"X%-Bad\\" has a character',
      breaks_status = "returned the number 99, which is no status",
    } do
      assert.equal(500, ask(name).status)
      assert.is_truthy(log_line(("/answer/%s [^\n]*%s"):format(name, message)), name)
    end
  end)

  it("that calls proceed() twice is told so at its line", function()
    ask "twice"
    assert.same({ false, "proceed() was called twice: it gives the response once" },
      ask("catches"):json())
    assert.is_truthy(log_line "middleware/app.lua:%d+: proceed%(%) was called twice")
  end)

  it("may wait, and call proceed() in another task", function()
    assert.equal("below", ask("waits").body)
    assert.same({ "below", "1" }, { ask("in_child").body, ask("in_child").headers["x-child"] })
  end)

  it("cannot proceed later", function()
    assert.equal("leaked", app:get("/leak").body)
    assert.same({ false, "proceed() was called after its middleware had returned" },
      app:get("/leaked"):json())
    assert.equal(500, app:get("/unfinished").status)
    assert.is_truthy(log_line "returned while proceed%(%) was still running")
  end)

  it("does not see the route's timeout", function()
    local res = app:get("/timeout")
    assert.equal(503, res.status)
    wait.wait_until(function() return log_line "handler timed out" end, nil, "the log")
    assert.is_nil(log_line "middleware failed[^\n]*target=/timeout")
  end)

  it("leaves `delivered` to the handler's own response", function()
    app:get("/told")
    assert.equal("x", app:get("/delivered").body)
    local told
    wait.wait_until(function()
      told = app:get("/told"):json()
      return #told > 0
    end, nil, "the task")
    assert.same({ "true" }, told)
  end)
end)

describe("a blocking middleware", function()
  it("lets requests go on by returning nothing", function()
    local res = app:get("/guarded?key=right")
    assert.same({ 200, "open", "+behind -behind" },
      { res.status, res.body, res.headers["x-order"] })
    assert.equal("sent", app:post("/guarded?key=right", { body = "sent" }).body)
  end)

  it("answers by returning something", function()
    local res = app:get("/guarded?key=wrong")
    assert.same({ 401, '{"detail":"no key"}' }, { res.status, res.body })
    assert.is_nil(res.headers["x-order"])
  end)

  it("may fail and abort", function()
    assert.equal(500, app:get("/guarded/fails").status)
    assert.is_truthy(log_line "middleware failed[^\n]*blocked")
    assert.same({ 402, '{"detail":"pay"}' },
      { app:get("/guarded/aborts").status, app:get("/guarded/aborts").body })
  end)
end)

describe("tasks", function()
  local function told_of(path, count)
    app:get("/told")
    local status, list = app:get(path).status, {}
    wait.wait_until(function()
      for _, word in ipairs(app:get("/told"):json()) do list[#list + 1] = word end
      return #list >= count
    end, nil, "the tasks")
    return status, list
  end

  it("of after_route start when the whole chain has returned", function()
    local status, told = told_of("/tasks/good", 3)
    assert.same({ 200, { "returned 200", "route", "response" } }, { status, told })
    status, told = told_of("/tasks/see_other", 3)
    assert.same({ 303, { "returned 303", "route", "response" } }, { status, told })
  end)

  it("are dropped when the handler has failed, whatever the middleware answers", function()
    for _, query in ipairs { "", "?mend=1" } do
      local status, told = told_of("/tasks/fail" .. query, 1)
      assert.same({ query == "" and 500 or 200, { "returned 500" } }, { status, told })
      status, told = told_of("/tasks/abort" .. query, 1)
      assert.same({ query == "" and 404 or 200, { "returned 404" } }, { status, told })
    end
    assert.same({}, app:get("/told"):json())
  end)
end)
