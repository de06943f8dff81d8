-- places.lua - cases of a fixture app, run in every place that Lua code runs in.
--
-- A case is a function that raises; a module in spec/apps/NAME has them by name. The app answers
-- /plain/MODULE/NAME, /blocking/... and /background/... with "went well" when the case did.

local site = require "support.site"

local places = {}

local function escape(text)
  return (text:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function sorted_names(cases)
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- Describes the cases of these modules, here in the spec's fiber and in handlers of each kind.
---@param b table busted's functions: setup, teardown, describe, it, assert
---@param app string its name
---@param modules string[] their names
function places.describe(b, app, modules)
  local client
  b.setup(function() client = site.open(app) end)
  b.teardown(function() client:close() end)
  for _, module in ipairs(modules) do
    local cases = require(("apps.%s.%s"):format(app, module))
    local names = sorted_names(cases)
    b.describe(module .. " in a spec", function()
      for _, name in ipairs(names) do b.it(name, cases[name]) end
    end)
    for _, place in ipairs { "plain", "blocking", "background" } do
      b.describe(("%s in a %s handler"):format(module, place), function()
        for _, name in ipairs(names) do
          b.it(name, function()
            local res = client:get(("/%s/%s/%s"):format(place, module, escape(name)))
            b.assert.equal("went well", res.body)
          end)
        end
      end)
    end
  end
end

return places
