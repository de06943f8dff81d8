-- places.lua - cases that must hold wherever Lua code runs.
--
-- Cases are functions by name that raise when something is wrong, in a module of spec/apps/NAME.
-- places.describe runs them in the spec's own fiber, then in a plain handler, in a thread of the
-- pool and on a background loop of that app.

local busted = require "busted"

local places = {}

--- Where the app runs a case.
---@param place string plain, blocking or background
function places.path(place, module, name)
  local escaped = name:gsub("[^%w]", function(byte) return ("%%%02X"):format(byte:byte()) end)
  return ("/%s/%s/%s"):format(place, module, escaped)
end

--- Describes the cases of one module in each place.
---@param module string
---@param cases table<string, function>
---@param client_of fun(): table a client of the app, once specs run
function places.describe(module, cases, client_of)
  local names = {}
  for name in pairs(cases) do names[#names + 1] = name end
  table.sort(names)

  busted.describe(module .. " in a spec", function()
    for _, name in ipairs(names) do busted.it(name, cases[name]) end
  end)

  for _, place in ipairs { "plain", "blocking", "background" } do
    busted.describe(("%s in a %s handler"):format(module, place), function()
      for _, name in ipairs(names) do
        busted.it(name, function()
          local res = client_of():get(places.path(place, module, name))
          if res.status ~= 200 then error(res.body, 0) end
        end)
      end
    end)
  end
end

return places
