-- stuck_spec.lua - what is stuck in C as seen from outside: the log, metrics, callers, the end.
--
-- spec/apps/stuck waits in os.execute for files that the spec makes, so whatever is to be seen
-- while it is stuck is waited for and never missed. Warnings of a spec run are read from a child.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local http = require "perilune.http"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local server, admin, path

local function make_file() assert(io.open(path, "w")):close() end

before_each(function()
  path = os.tmpname()
  os.remove(path)
  server = site.start("stuck", { "--pool-threads", "1", "--admin", "127.0.0.1:0",
    "--shutdown-timeout", "20" })
  admin = "http://" .. wait.for_log(server, "admin[^\n]-(127%.0%.0%.1:%d+)")
end)

after_each(function()
  make_file()
  server:kill()
  os.remove(path)
end)

local function lost()
  local text = http.get(admin .. "/-/metrics").body
  return tonumber(text:match 'perilune_pool_lost_threads{pool="default"} (%d+)')
end

--- Asks until a call has been given up while it was stuck: one may be too late for its thread.
local function get_stuck(is_seen)
  server:get "/count"
  wait.wait_until(function()
    local said = site.json(server, "/limited", { query = { path = path } })
    assert.same({ ok = false, kind = "timeout", text = "timeout after 0.05 s" }, said)
    return program.wait(1, is_seen)
  end, nil, "a thread that is stuck")
end

local function until_lost(count)
  wait.wait_until(function() return lost() == count end, nil, "lost threads: " .. count)
end

describe("an event loop that is held by a C function", function()
  it("is reported while it is, with the function and who called it", function()
    local task = async.spawn(server.get, server, "/hold", { query = { path = path } })
    local line = wait.for_log(server, "(the event loop is held[^\n]*)")
    assert.is_truthy(line:find 'held="in os.execute, called from [^"]*stuck/app.lua:11"', line)
    for _, part in ipairs { "worker=http", "held_ms=%d+", "thread_cpu_ms=%d+", "runs=/hold",
      "request=%x+", "advice=", "perilune.blocking" } do
      assert.is_truthy(line:find(part), line)
    end
    wait.for_log(server, "%[C%]: in os.execute\n[^\n]*stuck/app.lua:11: in ")
    make_file()
    assert.equal("done", task:wait().body)
    local _, reports = server:log():gsub("the event loop is held", "")
    assert.equal(1, reports)
  end)

  it("is reported with the name of the task that called it", function()
    server:get("/task", { query = { path = path } })
    local line = wait.for_log(server, "(the event loop is held[^\n]*)")
    assert.is_truthy(line:find 'runs=send_invoice request=%x+ held="in os.execute, called ', line)
  end)
end)


describe("a pool thread that is stuck", function()
  it("is lost, replaced and taken back; its caller has its timeout before", function()
    get_stuck(function() return lost() > 0 end)
    wait.for_log(server, "(thread %d of pool default: %d+%.%d s in os.execute, called from "
      .. "[^\n]*stuck/app.lua:11 [^\n]*runs=blocking_wait )")
    assert.equal("number", type(site.json(server, "/count").count))
    make_file()
    until_lost(0)
    wait.for_log(server, "(thread %d of pool default: is back)")
    assert.equal("number", type(site.json(server, "/count").count))
  end)

  it("is told of in the error of its caller", function()
    local told
    server:get "/count"
    for _ = 1, 20 do -- a machine that has no time to look tells nothing
      assert.equal(500, server:get("/fails", { query = { path = path } }).status)
      told = wait.for_log(server, "timeout after 0.05 s[^\n]*\n(.*)")
      if told:find "pool default: in os.execute" then break end
      make_file() -- the thread comes back: only so many are replaced
      until_lost(0)
      server:get "/count"
      os.remove(path)
    end
    assert.is_truthy(told:find "thread %d of pool default: in os.execute, called from ", told)
    assert.is_truthy(told:find "called from:.*run_blocking.*stuck/app.lua:%d+", told)
  end)

  it("keeps the server from its end for the shutdown's time, and is named", function()
    server:kill()
    server = site.start("stuck", { "--pool-threads", "1", "--drain-timeout", "0.1",
      "--shutdown-timeout", "3" })
    get_stuck(function() return server:log():find("lost: another thread", 1, true) end)
    assert.equal(1, server:stop())
    local log = server:log()
    assert.is_truthy(log:find("shutdown timed out", 1, true), log)
    assert.is_truthy(log:find "thread %d of pool default: still in os.execute, called from ",
      log)
  end)
end)

describe("in a spec run", function()
  local app = [[
    local perilune = require "perilune"
    local app = perilune.app { name = "holds" }
    app:get("/", function()
      for _ = 1, 2 do
        os.execute "true"
      end
      io.popen("true"):close()
      io.read()
      io.stdin:read "l"
      for _ in io.lines() do break end
      return tostring(select("#", os.execute()))
    end)
    app:get("/file", function()
      local file <close> = assert(io.open "/dev/null")
      return tostring(file:read "l")
    end)
    app:get("/wrong", function() return select(2, pcall(io.popen)) end)
    app:get("/blocking", perilune.blocking(function()
      os.execute "true"
      return "done"
    end))
    return app]]
  local app_spec = [[
    it("answers", function()
      os.execute "true"
      local client = require("perilune.test").client(%q)
      for _ = 1, 2 do
        assert.equal("1", client:get("/").body)
        assert.equal("nil", client:get("/file").body)
        assert.equal("done", client:get("/blocking").body)
      end
      assert.is_truthy(client:get("/wrong").body:find("bad argument #1 to 'io.popen'", 1, true)
        or client:get("/wrong").body:find("bad argument #1 to 'popen'", 1, true))
      client:close()
    end)]]

  it("functions that hold the loop warn, once for each line of the app", function()
    local directory = program.make_directory { ["app.lua"] = app }
    local specs = program.make_directory { ["a_spec.lua"] = app_spec:format(directory) }
    local result = program.run { "test", specs }
    program.remove_directory(directory)
    program.remove_directory(specs)
    assert.equal(0, result.code, result.out .. result.err)
    local lines = {}
    for name, line in result.err:gmatch "warn  ([^\n]-) holds the event loop at=%S-app.lua:(%d+)" do
      lines[#lines + 1] = name .. " " .. line
    end
    assert.same({ "os.execute 5", "io.popen 7", "reading standard input 8",
      "reading standard input 9", "reading standard input 10", "io.popen 17" }, lines, result.err)
    assert.is_truthy(result.err:find("perilune.blocking", 1, true))
  end)
end)
