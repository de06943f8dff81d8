-- conf.lua - how the shortener is served, unless a flag or the environment says otherwise.
--
-- `settings` are the app's own: PERILUNE_SETTINGS_DATABASE and so on.

return {
  settings = {
    database = (os.getenv "TMPDIR" or "/tmp") .. "/perilune-urls.db",
    admin = "admin", -- the account that may see /admin
    passwords_a_minute = 10, -- accounts and logins of one address
    links_a_minute = 30, -- new links of one address
  },
}
