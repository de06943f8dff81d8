-- globals.lua - warns once of each global that is written while a request is handled.
--
-- Each worker has globals of its own, so what is counted in one is seen by one of them only. The
-- app's globals are put behind the table of globals, where reading and writing them can be seen;
-- an app that has given that table a metatable itself is left alone.

local develop = require "perilune.native.develop"
local log = require "perilune.log"

local globals = {}

--- The place of the code that writes, as messages name it.
local function writer()
  local info = debug.getinfo(3, "Sl")
  return ("%s:%d"):format(info.short_src, info.currentline)
end

--- What is global now: nobody is warned of it.
---@return table baseline
function globals.names()
  local names = {}
  for key in next, _G do names[key] = true end
  return names
end

--- Begins to watch; the app has loaded.
---@param baseline table of globals.names, from before
function globals.watch(baseline)
  if getmetatable(_G) then return end
  local own, told = {}, {}
  for key, value in next, _G do
    if not baseline[key] then own[key] = value end
  end
  for key in next, own do rawset(_G, key, nil) end
  local function write(_, key, value)
    own[key] = value
    if told[key] or not develop.has_request() then return end
    told[key] = true
    log.warn("a handler writes a global", { global = tostring(key), at = writer(), advice =
      "each worker has globals of its own: use a local, perilune.shared or a database" })
  end
  local function iterate()
    local all = {}
    for key, value in next, own do all[key] = value end
    for key, value in next, _G do all[key] = value end
    return next, all
  end
  setmetatable(_G, { __index = own, __newindex = write, __pairs = iterate })
end

return globals
