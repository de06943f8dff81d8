-- conf.lua - where photos wait and where the CDN is, unless the environment says otherwise.
--
-- PERILUNE_SETTINGS_DIRECTORY and so on.

return {
  settings = {
    directory = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-upload",
    services = "http://127.0.0.1:8081", -- apps/services
  },
}
