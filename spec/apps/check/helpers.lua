-- helpers.lua - a module of the app whose function holds the loop.
--
-- It is followed from the handler that calls it.

local helpers = {}

function helpers.wait()
  os.execute "sleep 0" -- wrong
  return 204
end

return helpers
