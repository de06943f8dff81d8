-- conf.lua - how the board is served, unless a flag or the environment says otherwise.
--
-- One worker: the messages are kept in its Lua state. `settings` are the app's own; each can be set
-- from outside, PERILUNE_SETTINGS_SECRET and so on.

return {
  workers = 1,
  settings = {
    data = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-board", -- photos; made at the start
    secret = "signs cookies; everybody can read this one", -- set your own
    origins = "http://localhost:8081", -- whose pages may use this board too
    patience = 1, -- seconds that /messages/next waits for a message
    sweep = 1, -- seconds from one removal of photos that no message has any more to the next
  },
}
