-- app.lua - an app that `perilune check` has something to say to, and much that it has nothing to.
--
-- What is wrong has `wrong` in its line, so that the spec can tell.

local async = require "perilune.async"
local helpers = require "helpers"
local perilune = require "perilune"

local app = perilune.app { name = "check" }
local out = io.stdout

local function list()
  return io.popen("ls"):read "a" -- wrong: called by a handler
end

local function never_called()
  return io.popen("ls"):read "a"
end

local run = perilune.blocking(function() return os.execute "true" end)

local function work()
  os.execute "true"
  return out
end

app:get("/direct", function()
  os.execute "true" -- wrong
  return os.execute() and "a shell" or 204
end)

app:get("/called", function() return list() end)
app:get("/module", function() return helpers.wait() end)
app:get("/marked", run)
app:get("/inline", perilune.blocking(function() return io.read "l" end))
app:get("/elsewhere", function()
  return async.run_blocking(function() return os.execute "true" end)
end)
app:get("/nested", function()
  return async.gather(function()
    return io.stdin:read "l" -- wrong
  end)
end)
app:get("/kept", function() return { tostring(never_called) } end)
app:get("/sent", function()
  return async.run_blocking(function() -- wrong: it takes `out` along
    out:write "x"
  end)
end)
app:get("/named", function() return async.run_blocking(work) end)
app:every(60, function() os.execute "true" end) -- wrong
app:use(function(_, proceed)
  local next_line, of_file = io.lines(), io.lines "app.lua" -- wrong
  return proceed():header("x-lines", tostring(next_line() or of_file()))
end)

return app
