-- places.lua - runs the case modules of spec/apps/async in every place that Lua code runs in.
--
-- A case is a function that raises when something is wrong. Each runs in the spec's own fiber, in a
-- plain handler, in a thread of the pool and on a background loop of that app. busted's words are
-- passed in: they belong to the spec file.

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

--- The path that runs a case in a place of the app.
---@param place string "plain", "blocking" or "background"
function places.path(place, module, name)
  return ("/%s/%s/%s"):format(place, module, escape(name))
end

--- Describes the cases of a module.
---@param words table { describe =, it =, assert = }
---@param module string in spec/apps/async
---@param get function gives the answer of the app for a path
function places.describe(words, module, get)
  local cases = require("apps.async." .. module)
  local names = sorted_names(cases)
  words.describe(module .. " in a spec", function()
    for _, name in ipairs(names) do words.it(name, cases[name]) end
  end)
  for _, place in ipairs { "plain", "blocking", "background" } do
    words.describe(("%s in a %s handler"):format(module, place), function()
      for _, name in ipairs(names) do
        words.it(name, function()
          words.assert.equal("went well", get(places.path(place, module, name)).body)
        end)
      end
    end)
  end
end

return places
