-- background_spec.lua - background functions: calls, places, values, limits, cancellation, marks.
--
-- spec/apps/background is loaded into the spec's own state, so its functions are called from here
-- as from a handler; its loops are threads of this process. What comes before and after (start,
-- stop, exit codes) is asked of server processes in spec/loops_spec.lua.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local program = require "support.program"
local site = require "support.site"
local test = require "perilune.test"
local wait = require "support.wait"

local client, f

setup(function()
  client = site.open "background"
  f = client.app.functions
end)
teardown(function() if client then client:close() end end)

local function fails_with(kind, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal(kind, type(err) == "table" and err.kind or nil, tostring(err))
  return err
end

local function expect_text(text, part)
  assert.is_truthy(tostring(text):find(part, 1, true), text)
end

local function count(events, wanted)
  local number = 0
  for _, event in ipairs(events) do number = number + (event == wanted and 1 or 0) end
  return number
end

--- Waits until the loop `main` has noted an event more often than before.
local function after_noting(event, fn, ...)
  local before = count(f.read_events(), event)
  local result = fn(...)
  wait.wait_until(function() return count(f.read_events(), event) > before end, nil, event)
  return result
end

describe("a call", function()
  it("runs on its loop, and gives results, holes and all", function()
    assert.same({ "background", "main" }, { f.where() })
    assert.same({ n = 4, 1, nil, "x", nil }, table.pack(f.echo(1, nil, "x", nil)))
    assert.equal("function", type(f.echo))
  end)

  it("finds the state of its loop, which this one does not share", function()
    local before = f.count()
    assert.equal(before + 1, f.count())
    assert.equal(1, require("counted").add())
  end)

  it("raises the error of the function, with its traceback joined", function()
    local ok, err = pcall(f.fail, "text")
    assert.is_false(ok)
    assert.is_truthy(err:find "background/app.lua:%d+: text$", err)
    assert.same({ "x" }, select(2, pcall(f.raise, { "x" })))
    local traceback
    xpcall(f.fail, function(e) traceback = debug.traceback(e) end, "text")
    assert.is_string(traceback)
    local task = async.spawn(f.fail, "text")
    pcall(task.wait, task)
    expect_text(task.traceback, "called from:")
  end)

  it("starts in the order of the calls, and runs with others at once", function()
    local tasks = {}
    local before = #f.read_events()
    for i = 1, 20 do tasks[i] = async.spawn(f.note, "order " .. i) end
    local sleeps = async.settle(table.unpack((function()
      local list = {}
      for i = 1, 20 do list[i] = { f.sleep, 0.05 } end
      return list
    end)()))
    for _, task in ipairs(tasks) do task:wait() end
    local events = f.read_events()
    for i = 1, 20 do assert.equal("order " .. i, events[before + i]) end
    for _, row in ipairs(sleeps) do assert.equal("slept", row.value) end
  end)

  it("on its own loop runs inline, in its time", function()
    assert.equal(1, f.inline())
    local ok, err = f.short_inline()
    assert.is_false(ok)
    assert.equal("timeout", err.kind)
  end)

  it("goes from loop to loop, from a pool and to it, and among others", function()
    assert.same({ "background", "main" }, { f.nested() })
    assert.same({ "background", "main" }, { f.from_pool() })
    assert.equal("pool", f.to_pool())
    assert.same({ "background", "background", "pool" }, { f.gathers() })
    assert.same({ "background", "pool" }, { async.gather(f.where, f.pool_role) })
    assert.same({ "background", "main" }, { async.run_blocking(f.where) })
    assert.same({ "background", "main" }, { async.run_blocking({ timeout = 30 }, f.where) })
    assert.same({ "background", "other" }, { f.blocking_apply(f.tell_other) })
    expect_text(select(2, pcall(async.run_blocking, { pool = "tasks" }, f.where)),
      'option "pool" is not for a background function')
  end)

  it("of a function with several marks runs where each says", function()
    assert.same({ "pool", "default" }, { f.tell_pool() })
    assert.same({ "background", "main" }, { f.tell_main() })
    assert.same({ "background", "other" }, { f.tell_other() })
  end)

  it("takes marked functions as values, which run in their own places", function()
    assert.same({ "pool", "default" }, { f.apply(f.tell_pool) })
    assert.same({ "background", "other" }, { f.apply(f.tell_other) })
    assert.same({ "background", "main" }, { f.apply(f.tell_main) })
    local captured = 7
    assert.equal(8, f.apply(function(n) return n + captured end, 1))
  end)

  it("names the path of what cannot cross", function()
    local err = fails_with("transfer", f.echo, { db = io.stdout })
    expect_text(err, "argument 1.db (userdata)")
    expect_text(fails_with("transfer", f.bad_result), "result 1.a (userdata)")
  end)

  it("brings its caller's context", function()
    perilune.context.user = "ann"
    assert.equal("ann", f.apply(function() return require("perilune.context").user end))
  end)

  it("leaves running what it has spawned", function()
    assert.equal("returned", after_noting("spawned", f.spawns))
  end)
end)

describe("in a route", function()
  it("is told so by `perilune routes`", function()
    local result = program.run { "routes", site.dir "background" }
    assert.equal(0, result.code, result.err)
    assert.is_truthy(result.out:find("GET +/where +background%(main%) +%S+app.lua:%d+"), result.out)
  end)

  it("a handler gets a copy of its request", function()
    assert.same({ role = "background", name = "main", path = "/where", query = "a" },
      site.json(client, "/where?q=a"))
    assert.same({ a = { 1, 2 } }, client:post("/body", { json = { a = { 1, 2 } } }):json())
    assert.same({ "background", "main" }, site.json(client, "/awaited"))
  end)

  it("aborts and errors are answered as elsewhere", function()
    assert.equal(418, client:get("/abort").status)
    assert.equal(500, client:get("/error").status)
    expect_text(client:post("/body", { body = "{" }).body, "not valid JSON")
  end)

  it("streams and events are written on the loop", function()
    assert.equal("background 1\nbackground 2\nbackground 3\n", client:get("/stream").body)
    assert.equal("data: background\n\ndata: more\n\n", client:get("/sse").body)
  end)

  it("a streamed body is read on the loop", function()
    local body = ("x"):rep(300000)
    local told = client:post("/chunks", { body = body }):json()
    assert.same({ "background", #body, false }, { told.role, #told.body, told.has_left })
  end)

  it("a request within a call within a call reaches its client", function()
    assert.same({ ok = true, has_left = false }, site.json(client, "/nested_req"))
  end)

  it("req:once lives until the call ends, for each request by itself", function()
    local before = site.json(client, "/once_count").count
    local answers = async.map({ 1, 2, 3 }, function() return client:get("/once").body end)
    for i = 1, 3 do assert.equal("mademade", answers[i]) end
    assert.equal(before + 3, site.json(client, "/once_count").count)
  end)

  it("middleware and error handlers run on the loop", function()
    assert.equal("passed", client:get("/guarded").body)
    local res = client:get("/guarded?stop=1")
    assert.same({ 403, "by background" }, { res.status, res.body })
    res = client:get("/guarded/error")
    assert.same({ 500, "broken on background" }, { res.status, res.body })
  end)

  it("tasks run on the loop, whatever their timing, and so does on_error", function()
    after_noting("on_error functions.fail  task oops", client.get, client, "/schedule")
    local events = f.read_events()
    for _, timing in ipairs { "now", "after_route", "after_response" } do
      wait.wait_until(function()
        return count(f.read_events(), "scheduled " .. timing) == 1
      end, nil, timing)
    end
    assert.equal(1, count(events, "on_error functions.fail  task oops"))
  end)
end)

describe("the queue of a loop", function()
  it("counts calls until they end; beyond it is kind full, and 503", function()
    local first, second = async.spawn(f.narrow, 30), async.spawn(f.narrow, 30)
    async.checkpoint()
    async.checkpoint()
    expect_text(fails_with("full", f.narrow, 0), "the queue of loop 'narrow' is full")
    local res = client:get("/full")
    assert.same({ 503, "1" }, { res.status, res.headers["retry-after"] })
    first:cancel()
    fails_with("cancelled", first.wait, first)
    second:cancel()
    fails_with("cancelled", second.wait, second)
    wait.wait_until(function()
      local ok, result = pcall(f.narrow, 0)
      return ok and result == "through"
    end)
  end)
end)

describe("a cancelled call", function()
  it("that waits ends there, and the others go on", function()
    local other = async.spawn(f.sleep, 0.2)
    local task = after_noting("sleeps", async.spawn, f.sleep, 30)
    after_noting("sleep ended", function()
      task:cancel()
      fails_with("cancelled", task.wait, task)
    end)
    assert.equal("slept", other:wait())
  end)

  it("that computes is interrupted", function()
    local waiting = async.spawn(f.sleep, 0.01)
    local task = async.spawn(f.compute)
    async.sleep(0.05) -- it holds its loop from its start on, so it cannot be asked whether it runs
    local behind = async.spawn(f.where)
    task:cancel()
    fails_with("cancelled", task.wait, task)
    assert.equal("background", (behind:wait()))
    assert.equal("slept", waiting:wait())
    wait.wait_until(function() return count(f.read_events(), "computing ended") == 1 end)
  end)

  it("behind one that computes for long is not run at all", function()
    local held = async.spawn(f.compute_some, 0.3)
    local task = async.spawn(f.note, "not to be run")
    async.checkpoint()
    async.checkpoint()
    task:cancel()
    fails_with("cancelled", task.wait, task)
    assert.equal("computed", held:wait())
    assert.equal(0, count(f.read_events(), "not to be run"))
  end)

  it("by a timeout of its mark or around it ends too", function()
    fails_with("timeout", f.short)
    fails_with("timeout", async.timeout, 0.05, f.sleep, 30)
    fails_with("timeout", async.timeout, 0.05, f.compute)
    assert.equal("background", (f.where()))
  end)

  it("from a pool thread ends there as here", function()
    fails_with("timeout", f.blocking_apply, function(sleep)
      return require("perilune.async").timeout(0.05, sleep, 30)
    end, f.sleep)
  end)
end)

describe("a loop's handle", function()
  it("cancels all calls of the loop, from here, from a pool and from another loop", function()
    local loop = perilune.loop "main"
    local function from_elsewhere() require("perilune").loop("main"):cancel_all() end
    for _, cancel_all in ipairs {
      function() loop:cancel_all() end,
      function() f.blocking_apply(from_elsewhere) end,
    } do
      local tasks = {}
      for i = 1, 3 do tasks[i] = after_noting("sleeps", async.spawn, f.sleep, 30) end
      cancel_all()
      for i = 1, 3 do fails_with("cancelled", tasks[i].wait, tasks[i]) end
    end
    assert.equal("background", (f.where()))
  end)

  it("cancels what computes, and what has not started behind it", function()
    local task, queued = async.spawn(f.compute), async.spawn(f.where)
    async.sleep(0.02)
    perilune.loop("main"):cancel_all()
    fails_with("cancelled", task.wait, task)
    fails_with("cancelled", queued.wait, queued)
  end)

  it("stops the loop early: calls end, on_stop runs, further calls are refused", function()
    local task = async.spawn(f.brief_sleep)
    assert.equal("brief", f.brief_where())
    after_noting("brief stopped", function()
      perilune.loop("brief"):stop()
      perilune.loop("brief"):stop()
      fails_with("cancelled", task.wait, task)
    end)
    local ok, err = pcall(f.brief_where)
    assert.is_false(ok)
    expect_text(err, "loop 'brief' has been stopped")
    perilune.loop("brief"):stop()
    perilune.loop("brief"):cancel_all()
  end)

  it("may be stopped by its own call", function()
    fails_with("cancelled", f.self_stop)
    expect_text(select(2, pcall(f.self_stop)), "loop 'suicidal' has been stopped")
  end)

  it("ends what begins to compute just when the loop is stopped", function()
    after_noting("late stopped", pcall, f.stop_late)
  end)

  it("wants a colon, and a loop that is there", function()
    local loop = perilune.loop "main"
    for _, method in ipairs { "cancel_all", "stop", "on_start", "on_stop" } do
      expect_text(select(2, pcall(loop[method])), ("use a colon (loop:%s)"):format(method))
    end
    expect_text(select(2, pcall(perilune.loop, "nowhere")), 'no loop "nowhere" in this app')
    expect_text(select(2, pcall(perilune.loop, 7)), "argument 1 is the name of a loop, not number")
    expect_text(select(2, pcall(perilune.loop, "")), "is not empty")
    for _, method in ipairs { "on_start", "on_stop" } do
      expect_text(select(2, pcall(loop[method], loop, print)),
        ("loop:%s is called while the app loads, not later"):format(method))
    end
  end)
end)

describe("hooks of a loop", function()
  it("run in its own state alone, after on_state and before the first call", function()
    assert.equal("start in background main 1", f.read_events()[1])
    assert.equal("start of other", f.other_events()[1])
    assert.equal(1, count(f.read_events(), "start in background main 1"))
    assert.equal(0, count(f.read_events(), "start of other"))
  end)
end)

describe("a mark", function()
  it("cannot be made after the load", function()
    local _, err = pcall(perilune.background, "main", function() end)
    expect_text(err, "perilune.background marks functions while the app loads, not later")
  end)

  it("checks what is marked, and how", function()
    local function complaint(...) return select(2, pcall(perilune.background, ...)) end
    expect_text(complaint(function() end), "argument 1 is the name of a loop, not function")
    expect_text(complaint("", print), "is not empty")
    expect_text(complaint "x", "perilune.background: argument 2 is options, not nil")
    expect_text(complaint("x", {}, 7), "argument 3 is a function, not number")
    expect_text(complaint("x", { que = 1 }, print), 'unknown option "que" (did you mean "queue"?)')
    for _, wrong in ipairs { 0, -1, 1.5, "1", 1e9 } do
      expect_text(complaint("x", { queue = wrong }, print), 'option "queue" is a whole number')
    end
    expect_text(complaint("x", { timeout = 0 }, print), 'option "timeout" is a number of seconds')
    expect_text(complaint("x", { name = 1 }, print), 'option "name" is a string, not a number')
  end)
end)

describe("an app that is opened", function()
  local directories, others = {}, {}

  before_each(function()
    client:close()
    client = nil
  end)
  after_each(function()
    while #others > 0 do
      local other = table.remove(others)
      pcall(other.close, other) -- what on_stop raises is the business of the spec
    end
    while #directories > 0 do program.remove_directory(table.remove(directories)) end
    client = site.open "background"
    f = client.app.functions
  end)

  local function open(text, files)
    files = files or {}
    files["app.lua"] = [[
local async = require "perilune.async"
local perilune = require "perilune"
local app = perilune.app { name = "made" }
]] .. text .. "\nreturn app\n"
    directories[#directories + 1] = program.make_directory(files)
    local other = test.client(directories[#directories])
    others[#others + 1] = other
    return other
  end

  local function failure(text, files)
    local ok, err = pcall(open, text, files)
    assert.is_false(ok)
    return err
  end

  it("fails when a loop's on_start does", function()
    expect_text(failure [[perilune.loop("l"):on_start(function() error "not today" end)]],
      "loop:on_start at ")
  end)

  it("fails when it does not load on a loop", function()
    local text = [[
local is_loop = not ...
app.f = perilune.background("l", function() end)
app:on_state(function(state) if state.role == "background" then error "unwell" end end)
]]
    expect_text(failure(text), "unwell")
  end)

  it("cannot call or order its loops while it loads", function()
    expect_text(failure [[perilune.background("l", function() end)()]],
      "a background function cannot be called while the app loads: use app:on_start")
    expect_text(failure [[
local f = perilune.background("l", function() end)
app:on_state(function() f() end)]], "loop 'l' has not started yet: use app:on_start")
    expect_text(failure [[perilune.loop("l"):stop()]], "loop:stop is called once the app has")
    expect_text(failure [[perilune.loop("l"):cancel_all()]], "use app:on_start")
    expect_text(failure [[perilune.loop("l").on_start(print)]], "use a colon (loop:on_start)")
    expect_text(failure [[perilune.loop("l"):on_start(7)]], "on_start's function is a number")
    expect_text(failure [[perilune.loop("l"):on_stop(print, print)]], "on_stop takes one function")
    expect_text(failure [[app:on_state(perilune.background("l", function() end))]],
      "on_state's function cannot be a blocking or background one")
    expect_text(failure [[perilune.background("l", perilune.background("l", function() end))]],
      "the function is marked already")
    expect_text(failure [[
local function make(t) return perilune.background("l", function() return t end) end
app.a, app.b = make {}, make {}]], 'perilune.background(name, { name = "..." }, fn)')
  end)

  it("may call them in its hooks", function()
    local other = open [[
local list = {}
app.add = perilune.background("l", function(text) list[#list + 1] = text return list end)
app:on_start(function() app.add "start" end)
app:on_worker(app.add)
app:on_stop(function() app.last = app.add "stop" end)
perilune.loop("l"):on_stop(function() assert(list[#list] == "stop") end)
]]
    assert.equal("start", other.app.add("x")[1])
    other:close()
    assert.equal("stop", other.app.last[#other.app.last])
  end)

  it("tells what fails in on_stop, and runs the other hooks", function()
    local path = os.tmpname()
    local other = open(([[
local loop = perilune.loop "l"
app.f = perilune.background("l", function() end)
loop:on_stop(function() local file = io.open(%q, "w") file:write "flushed" file:close() end)
loop:on_stop(function() async.sleep(0) error "no flush" end)
]]):format(path))
    other.app.f()
    local ok, err = pcall(other.close, other)
    assert.is_false(ok)
    expect_text(err, "loop:on_stop at ")
    expect_text(err, "no flush")
    assert.equal("flushed", program.read(path))
    os.remove(path)
  end)

  it("ends its loops while calls of them wait and compute", function()
    local other = open [[
app.f = perilune.background("l", function() async.sleep(1000) end)
app.g = perilune.background("m", function() while true do end end)
]]
    local waits, computes = async.spawn(other.app.f), async.spawn(other.app.g)
    async.checkpoint()
    async.checkpoint()
    other:close()
    fails_with("cancelled", waits.wait, waits)
    fails_with("cancelled", computes.wait, computes)
    local ok, err = pcall(other.app.f)
    assert.is_false(ok)
    expect_text(err, "loop 'l' has ended: the app is not served any more")
  end)

  it("says when a function was marked in one state only", function()
    package.loaded.background_probe = true -- in this state only
    local other = open [[
if package.loaded.background_probe then
  app.unknown = perilune.background("l", function() return "unknown" end)
else
  perilune.background("l", function() return "other" end)
end
]]
    package.loaded.background_probe = nil
    local err = fails_with("transfer", other.app.unknown)
    expect_text(err, "this Lua state has no marked function")
    expect_text(err, "it was marked in one state only, or the states loaded different code")
  end)

  it("has the loops of apps that are mounted in it", function()
    local other = open([[app:mount("/inner", require "inner")]], { ["inner.lua"] = [[
local perilune = require "perilune"
local inner = perilune.app { name = "inner" }
inner:get("/", perilune.background("inner", function() return "on its loop" end))
return inner
]] })
    assert.equal("on its loop", other:get("/inner").body)
  end)
end)
