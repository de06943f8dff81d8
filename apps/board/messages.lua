-- messages.lua - the messages of the board, as JSON: listed, read, posted, deleted.
--
-- Reading is for everybody, the rest for who is logged in; a message is deleted by who wrote it.

local json = require "perilune.json"
local perilune = require "perilune"
local store = require "store"
local validate = require "validate"

---@param app table
---@param session table session.lua's
---@param photos table photos.lua's
---@return table router
return function(app, session, photos)
  local router = perilune.router()

  router:get("", function(req)
    local limit = validate.integer(req.query.limit or "100", "limit")
    local after = validate.integer(req.query.after or math.max(0, store.last() - limit), "after")
    local list = {}
    for message in store.each(after) do
      if #list >= limit then break end
      list[#list + 1] = message
    end
    return { messages = json.array(list), last = store.last() }
  end)

  router:get("/{id:int}", { name = "message" }, function(req)
    return store.get(req.params.id) or perilune.abort(404, "no such message")
  end)

  router:get("/latest", function()
    if store.last() == 0 then perilune.abort(404, "no message yet") end
    return perilune.redirect(app:url("message", { id = store.last() }))
  end)

  router:group("", { middleware = { session.required } }, function(group)
    group:post("", function(req)
      local text = validate.text(validate.object(req:json()).text)
      local message = store.add { author = session.user(req), text = text }
      return 201, message, { Location = app:url("message", { id = message.id }) }
    end)

    group:delete("/{id:int}", function(req)
      local message = store.get(req.params.id) or perilune.abort(404, "no such message")
      if message.author ~= session.user(req) then perilune.abort(403, "not your message") end
      if message.photo then photos.remove(message.photo) end
      store.remove(message.id)
    end)
  end)

  return router
end
