-- app.lua - runs the cases of the modules beside it in a plain handler, in the pool and on a loop.
--
-- /plain/MODULE/NAME, /blocking/MODULE/NAME and /background/MODULE/NAME answer 200 when the case
-- went well, else 500 with what it said.

local perilune = require "perilune"

local app = perilune.app { name = "async" }

local modules = {}
for _, name in ipairs { "waits", "coroutines", "sync", "children", "maps", "groups", "scopes",
  "places", "programs", "files", "handles", "watches", "crypto" } do
  modules[name] = require(name)
end

local function run_case(req)
  local case = modules[req.params.module][req.params.name]
  local ok, err = xpcall(case, debug.traceback)
  if not ok then return 500, tostring(err) end
  return "went well"
end

app:get("/plain/{module}/{name}", run_case)
app:get("/blocking/{module}/{name}", perilune.blocking(run_case))
app:get("/background/{module}/{name}", perilune.background("cases", run_case))

return app
