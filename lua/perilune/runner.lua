-- runner.lua - what the running `perilune test` knows of itself, for perilune.test.
--
-- Set once by cli/test_main.lua, before the specs are loaded.

return { dir = "." }
