-- conf.lua - how the services are served, unless a flag or the environment says otherwise.
--
-- One worker: what came in is kept in its Lua state.

return { port = 8081, workers = 1 }
