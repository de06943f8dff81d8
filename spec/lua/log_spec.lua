-- log_spec.lua - perilune.log from Lua code: levels, fields, the request's id, hostile text.
--
-- A server process writes, plain and from the pool; the lines are read from its standard error.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local http = require "perilune.http"
local json = require "perilune.json"
local program = require "support.program"
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
      assert.is_truthy(line:find('with fields bare=word empty="" list={} n=7', 1, true), line)
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

    it(("takes any value, tables as JSON, from a %s handler"):format(colour), function()
      local line = line_of "/values"
      local parts = { 'b_list=[1,2.5,"x"]', 'c_map={"a":[true],"z":1}', 'g_file="file (0x',
        'd_ring={"name":"ring","self":{"name":"ring","self":', '"self":"..."}',
        'e_deep={"next":{"next":{', '"next":"..."}', 'f_many=["x","xx",', ',"..."]',
        'h_mixed={"1":1,"2":2,"7.5":"nan","x":3}', "k_null=[null]", "told", "cannot wait",
        'i_bytes={"' .. "\u{FFFD}" .. [[":"\u0000\u001b[31m"}]], 'o_co="thread: 0x', "p_empty={}",
        'n_err="invalid JSON at line 1' }
      for _, part in ipairs(parts) do
        assert.is_truthy(line:find(part, 1, true), part .. " in " .. line)
      end
      assert.is_truthy(line:find 'j_fn=%["function: [^"]+"%]', line)
    end)

    it(("refuses what is no line, from a %s handler"):format(colour), function()
      local said = server:get(prefix .. "/misuse"):json()
      for i, part in ipairs { "log.info takes a message and a table of fields: the message is a no",
        "log.info takes a message and a table of fields: the message is a table", "table expected",
        "there is a key that is a number", "use a dot: log.warn(message, fields)" } do
        assert.is_truthy(said[i]:find(part, 1, true), said[i])
        assert.is_truthy(said[i]:find "app.lua:%d+: ", said[i])
      end
    end)
  end
end)

describe("a log below tasks", function()
  it("names the task, in its children and on other threads too", function()
    local server = site.start("log", { "--log-level", "info" })
    local id = server:get("/tasks").body
    local names = { ["named itself"] = "named", ["named pool"] = "named_blocking",
      on_error = "named" }
    for place, name in pairs { plain = "work", pool = "work_blocking" } do
      for _, what in ipairs { "itself", "child", "blocking", "background", "spawned" } do
        names[place .. " " .. what] = name
      end
    end
    for what, name in pairs(names) do
      local line = wait.for_log(server, "(note " .. what .. "[^\n]*)\n")
      assert.equal(("note %s task=%s request=%s"):format(what, name, id), line)
    end
    assert.equal("note handler request=" .. id, wait.for_log(server, "(note handler[^\n]*)\n"))
    assert.equal(0, server:stop())
  end)
end)

describe("a log that nobody reads", function()
  it("costs lines, and holds no loop", function()
    local words = { program.binary(), "serve", site.dir "log", "--port", "0", "--workers", "1",
      "--log-format", "text" }
    local pipe <close> = assert(io.popen(("echo $$; exec %s 2>&1 </dev/null"):format(
      program.quote(words))))
    local pid = pipe:read "n"
    local _ <close> = setmetatable({}, { __close = function()
      os.execute(("kill -KILL %d 2>/dev/null"):format(pid))
    end })
    local port
    repeat port = pipe:read "l":match "listening%s+url=http://%S-:(%d+)" until port
    for _ = 1, 2 do
      local res = http.get(("http://127.0.0.1:%s/flood"):format(port), { timeout = 30 })
      assert.equal(200, res.status)
    end
    local floods, dropped = 0
    repeat
      local line = pipe:read "l"
      if line:find "flood" then floods = floods + 1 end
      dropped = line:match "log lines dropped: nobody reads lines=(%d+)"
    until dropped
    assert.is_true(floods < 6000 and floods + dropped >= 6000) -- others may have been dropped too
    assert(os.execute("kill -TERM " .. pid))
    local rest = pipe:read "a"
    assert.is_truthy(rest:find("stopping", 1, true), rest)
  end)
end)

describe("a log in JSON", function()
  it("is what others than a terminal get, with tables as such", function()
    local server = site.start("log", { "--log-format", "auto" })
    local id = server:get("/blocking/values").body
    local line = json.decode(wait.for_log(server, "([^\n]*" .. id .. "[^\n]*)\n"))
    assert.same({ 1, 2.5, "x" }, line.b_list)
    assert.same({ a = { true }, z = 1 }, line.c_map)
    assert.equal("ring", line.d_ring.self.self.name)
    assert.equal("...", line.f_many[#line.f_many])
    assert.same({}, line.p_empty)
    assert.equal(0, server:stop())
  end)

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
