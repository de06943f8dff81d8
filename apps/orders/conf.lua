-- conf.lua - where the database and the services are, unless the environment says otherwise.
--
-- PERILUNE_SETTINGS_DATABASE and so on. Any number of workers: the database is all that they share.

return {
  settings = {
    database = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-orders.db",
    services = "http://127.0.0.1:8081", -- apps/services
  },
}
