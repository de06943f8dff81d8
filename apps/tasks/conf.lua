-- conf.lua - how the page is served, unless a flag or the environment says otherwise.
--
-- `settings` are the app's own: PERILUNE_SETTINGS_JOURNAL.

return { settings = { journal = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-tasks.log" } }
