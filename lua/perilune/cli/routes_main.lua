-- routes_main.lua - loads an app and prints its routes, in a fiber of a worker.
--
-- The columns are as wide as their longest cell; routes stand in the order the app lists them.
-- Errors of loading are raised: native.run prints them.

local app_module = require "perilune.app"
local native = require "perilune.native.service"

local head = { "METHOD", "PATH", "WHERE", "SOURCE" }

local function cells(route)
  return { route.method, route.pattern, route.where or "loop", route.line }
end

local function print_aligned(rows)
  local widths = {}
  for _, row in ipairs(rows) do
    for i, cell in ipairs(row) do widths[i] = math.max(widths[i] or 0, #cell) end
  end
  for _, row in ipairs(rows) do
    local line = {}
    for i, cell in ipairs(row) do line[i] = cell .. (" "):rep(widths[i] - #cell) end
    io.write((table.concat(line, "  "):gsub(" +$", "")), "\n")
  end
end

---@param arguments table dir, absolute
---@return integer exit_code
local function main(arguments)
  local rows = { head }
  local service <close> = native.open(arguments.dir) -- marks are made on its pools
  local app = app_module.load_directory()
  service:check(app)
  for _, route in ipairs(app.routes) do
    rows[#rows + 1] = cells(route)
  end
  print_aligned(rows)
  return 0
end

return main
