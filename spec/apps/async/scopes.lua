-- scopes.lua - cases of cancellation, timeouts and shields, by name.
--
-- As waits.lua, which has the simple ones: run in a spec's fiber, a plain handler and a thread of
-- the pool.

local cases = {}

return cases
