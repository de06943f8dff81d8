-- limit.lua - how often a client may do something in a minute, counted for all workers together.
--
-- One atomic increment in perilune.shared; the counter goes by itself when its minute is over.

local perilune = require "perilune"
local shared = require "perilune.shared"

local limit = {}

local SECONDS = 60

--- Middleware: at most `count` times a minute for each address.
function limit.of(what, count)
  return function(req, proceed)
    local key = ("%s %s"):format(what, req.remote_addr)
    if shared("limits"):incr(key, 1, SECONDS) > count then
      perilune.abort(429, "that was too often", { ["Retry-After"] = tostring(SECONDS) })
    end
    return proceed()
  end
end

return limit
