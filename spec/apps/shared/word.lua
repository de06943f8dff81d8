-- word.lua - a class in a module, for values of shared tables; late.lua is the same one.
--
-- Values of it keep their class on the way to another state.

local Word = {}
Word.__index = Word

function Word:shout() return self.text:upper() end

local function new(text) return setmetatable({ text = text }, Word) end

return { new = new, Word = Word }
