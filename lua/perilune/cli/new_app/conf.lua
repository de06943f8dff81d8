-- conf.lua - the settings of NAME.
--
-- The flags of `perilune serve` by name, as in `port = 9000`, and `settings`, the app's own, which
-- are `app.settings`. PERILUNE_SETTINGS_GREETING in the environment comes before `greeting`.

return {
  settings = { greeting = "Hello" },
}
