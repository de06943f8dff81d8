-- overdue - a route whose time is over, in an app that answers 503 itself.
--
-- For spec/lua/request_body_spec.lua.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "overdue" }

app:on_status(503, function(req)
  async.sleep(0)
  if req.query.plain then return nil end
  return { sorry = req.path }
end)

app:get("/late", { timeout = 0.01 }, function() async.sleep(3600) end)

return app
