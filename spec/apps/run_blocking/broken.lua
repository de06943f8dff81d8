-- broken.lua - a module that loads on an event loop only.
--
-- app.lua puts `is_loop` into the globals of the state that it is for.

if not _G.is_loop then error "not here" end

return {}
