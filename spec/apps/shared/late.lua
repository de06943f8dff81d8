-- late.lua - a class in a module that is not loaded with the app, for values of shared tables.
--
-- Who finds such a value has to load the module first.

local Word = {}
Word.__index = Word

function Word:shout() return self.text:upper() end

local function new(text) return setmetatable({ text = text }, Word) end

return { new = new, Word = Word }
