-- 001_memory_spec.lua - a server's memory stays about where it was.
--
-- Bodies that handlers do not read lie outside of Lua and were not collected in time; threads of a
-- pool that had ended kept their stacks until the server ended.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/regress/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local site = require "support.site"

-- The sanitizers keep what was freed for a while: nothing can be measured there.
if (os.getenv "SANITIZE" or "") ~= "" then return end

local APP = [[
local perilune = require "perilune"
local app = perilune.app {}
local mark = app.dir .. "/loaded"
local file = io.open(mark)
if file then error "it loads once only" end
io.open(mark, "w"):close()
local call = perilune.blocking(function() end)
app:get("/call", function() call() end)
app:post("/body", function() return 204 end)
return app
]]

describe("memory", function()
  local directory, server

  setup(function()
    directory = program.make_directory { ["app.lua"] = APP }
    server = site.start_at(directory)
  end)
  teardown(function()
    server:stop()
    program.remove_directory(directory)
  end)

  --- Kibibytes of the server process.
  local function used(what)
    local text = program.read(("/proc/%d/status"):format(server.pid))
    return tonumber(text:match(what .. ":%s+(%d+) kB"))
  end

  it("of bodies is given back", function()
    local body = ("x"):rep(4 << 20)
    local before = used "VmRSS"
    for _ = 1, 100 do assert.equal(204, server:post("/body", { body = body }).status) end
    local grown = used "VmRSS" - before
    assert.is_true(grown < 200 << 10, ("400 MiB were sent, %d KiB are kept"):format(grown))
  end)

  it("of threads that have ended is given back", function()
    for _ = 1, 20 do assert.equal(500, server:get("/call").status) end
    local before = used "VmSize"
    for _ = 1, 200 do assert.equal(500, server:get("/call").status) end
    local grown = used "VmSize" - before
    assert.is_true(grown < 400 << 10, ("200 threads ended, they keep %d KiB"):format(grown))
  end)
end)
