-- app.lua - requires modules of its directory, at load and in handlers.
--
-- require_spec.lua requires more of them from the spec's own state, where this app is loaded too.

local perilune = require "perilune"
local user = require "models.user"

local app = perilune.app { name = "require" }

app.gates = require "gates"

app:get("/user", function() return user.name() end)

local function require_it(req)
  local ok, result = pcall(require, req.params.name)
  return { ok = ok, text = tostring(type(result) == "table" and result.value or result) }
end

app:get("/require/{name}", require_it)
app:get("/blocking/require/{name}", perilune.blocking(require_it))

return app
