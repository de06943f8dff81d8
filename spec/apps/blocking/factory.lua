-- factory.lua - marks that a function makes: the same lines, told apart by their upvalues.
--
-- The order in which they are made is shuffled in each state by way of pairs, so that only identity
-- can find the right one.

local perilune = require "perilune"

local function times(n)
  return perilune.blocking(function(x) return n * x end)
end

local factors, made = { double = 2, triple = 3 }, {}
for name, factor in pairs(factors) do made[name] = times(factor) end

local function with_table(name, settings)
  return perilune.blocking({ name = name }, function() return settings.value end)
end

made.named = { with_table("first", { value = 1 }), with_table("second", { value = 2 }) }

return made
