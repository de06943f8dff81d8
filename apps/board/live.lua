-- live.lua - messages as they are posted: for who asks again and again, and for open pages.
--
-- Both look into the store every now and then; between two looks nothing is held but a coroutine.

local async = require "perilune.async"
local perilune = require "perilune"
local store = require "store"
local validate = require "validate"

local POLL_SECONDS = 0.05

---@param patience number seconds that a long poll waits
---@return table router
return function(patience)
  local router = perilune.router()

  -- Long polling: answers when there is a message, or 503 when the time is over.
  router:get("/messages/next", { timeout = patience }, function(req)
    local after = validate.integer(req.query.after or store.last(), "after")
    local message = store.each(after)()
    while not message do
      async.sleep(POLL_SECONDS)
      message = store.each(after)()
    end
    return message
  end)

  -- A browser that lost the connection comes back with the id of the last message it has seen.
  router:get("/feed", function(req)
    local after = req.headers["last-event-id"] or req.query.after or store.last()
    local seen = validate.integer(after, "after")
    return perilune.sse(function(send)
      while true do
        for message in store.each(seen) do
          seen = message.id
          send { id = message.id, data = message }
        end
        async.sleep(POLL_SECONDS)
      end
    end)
  end)

  return router
end
