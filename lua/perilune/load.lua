-- load.lua - what each state of a server runs first: loads the app.
--
-- Called from C (src/server_thread.c, src/roles/pool_runner.c) in the state's first fiber, so
-- loading may wait.

local app = require "perilune.app"

---@return table app
return function()
  return app.load_directory()
end
