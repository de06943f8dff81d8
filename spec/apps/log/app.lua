-- app.lua - writes lines to the log with perilune.log, for log_spec.lua to read.
--
-- Each route writes one sort of line, plain and from the pool.

local perilune = require "perilune"
local log = require "perilune.log"

local app = perilune.app { name = "log" }

local lines = {
  level = function(req) log[req.query.level]("at " .. req.query.level) end,
  fields = function()
    log.info("with fields", { text = "two words", bare = "word", n = 7, x = 1.5, yes = true,
      empty = "", list = {}, null = perilune.null })
  end,
  hostile = function()
    log.info("first\n2026-01-01T00:00:00.000Z error forged", { ["a b=c"] = "x\ny=\"z\\",
      esc = "\27[31m", bytes = "\255\0" })
  end,
  misuse = function()
    local said = {}
    for i, call in ipairs {
      function() log.info() end, function() log.info {} end, function() log.info("x", "y") end,
      function() log.info("x", { "y" }) end,
    } do said[i] = not pcall(call) end
    return said
  end,
}

for name, fn in pairs(lines) do
  local function handler(req)
    local result = fn(req)
    if result then return result end
    return req.id
  end
  app:get("/" .. name, handler)
  app:get("/blocking/" .. name, perilune.blocking({ name = name }, handler))
end

return app
