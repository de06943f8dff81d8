-- counted.lua - what of a state's own: how many times this state has been asked.
--
-- A function of a module, called on the loop, sees the loop's count alone.

local counted = { count = 0 }

function counted.add()
  counted.count = counted.count + 1
  return counted.count
end

return counted
