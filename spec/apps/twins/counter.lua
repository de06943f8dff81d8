-- counter.lua - a module with state.
--
-- Each loaded copy of the app has its own.

local json = require "perilune.json"

local counter = {}
local count, notes = 0, json.array {}

function counter.add()
  count = count + 1
  return count
end

function counter.note(text) notes[#notes + 1] = text end

function counter.notes() return notes end

return counter
