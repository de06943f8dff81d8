-- note.lua - what happens, in the log and as a list for each Lua state.
--
-- Lines of the log begin with "note", so that specs find them.

local async = require "perilune.async"
local log = require "perilune.log"
local perilune = require "perilune"

local note = { events = {} }

function note.add(event)
  note.events[#note.events + 1] = event
  log.info("note " .. event)
end

--- What on_state was told: the table is the hook's own.
function note.add_state(event, state)
  if next(state) == nil then error "the state of another hook" end
  note.state = { role = state.role, name = state.name, index = state.index }
  note.events[#note.events + 1] = ("%s %s %s %d"):format(event, state.role, state.name, state.index)
  log.info("note " .. event, state)
  for key in pairs(state) do state[key] = nil end
end

note.wait_in_pool = perilune.blocking(function()
  local _ <close> = setmetatable({}, { __close = function()
    log.info "note blocking task ended"
  end })
  log.info "note blocking task begun"
  async.sleep(1000)
end)

return note
