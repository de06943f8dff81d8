-- conf.lua - how the page is served, unless a flag or the environment says otherwise.
--
-- `settings` are the app's own: PERILUNE_SETTINGS_FILE and so on.

return {
  settings = {
    file = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-analytics.jsonl", -- a line for each event
    batch = 1000, -- events that are written at once
    interval = 0.5, -- seconds, after which fewer are written, too
  },
}
