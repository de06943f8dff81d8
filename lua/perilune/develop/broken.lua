-- broken.lua - the app that `perilune dev` serves while there is no version that loads.
--
-- Every request is answered with the reason; the next change that loads takes its place.

local app_module = require "perilune.app"
local page = require "perilune.develop.page"

---@param text string why the app does not load
---@return table app
return function(text)
  local app = app_module.new {}
  local function answer(req) return page.load_error(req, text) end
  app:any("/", answer)
  app:any("/{rest:path}", answer)
  app_module.finish(app)
  return app
end
