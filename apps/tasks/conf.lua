-- conf.lua - how the page is served, unless a flag or the environment says otherwise.
--
-- One worker: the journal is kept in its Lua state.

return { workers = 1 }
