-- conf.lua - how the notes are served, unless a flag or the environment says otherwise.
--
-- The database is made at the first start; all workers share it.

return {
  settings = {
    database = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-notes.db",
    inbox = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-notes", -- files in it become notes
  },
}
