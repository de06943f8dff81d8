-- late.lua - a module that handlers require, which waits while it loads.
--
-- Each loaded copy of the app has its own.

local async = require "perilune.async"

local count = 0
async.sleep(0.001)

return {
  add = function()
    count = count + 1
    return count
  end,
}
