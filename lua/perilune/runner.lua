-- runner.lua - what the running `perilune test` knows of itself, for perilune.test.
--
-- Set by cli/test_main.lua, before the specs are loaded: it is loaded once, while busted loads what
-- specs require anew for each file.

return {
  dir = ".",
  is_app = false, -- whether the directory under test is an app: then checks are on by default
  clients = {}, -- test clients that are open
  changed_variables = {}, -- of the environment: test/environment.lua
}
