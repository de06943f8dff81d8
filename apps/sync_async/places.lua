-- places.lua - where a wait may be, where it may not, and what cannot be in two places.
--
-- What is wrong says so at once, with the words that the last routes answer.

local async = require "perilune.async"
local perilune = require "perilune"

---@param app table
---@return table router
return function(app)
  local router = perilune.router()

  -- A wait may be anywhere below a handler: any function can wait, and no caller has to know.
  local slow = setmetatable({}, { __index = function(_, key)
    async.sleep(0.001)
    return key
  end })

  router:get("/anywhere", function()
    local function each()
      for _, place in ipairs { "pcall", "metamethod", "iterator" } do
        async.sleep(0.001)
        coroutine.yield(slow[place])
      end
    end
    local places = {}
    for place in coroutine.wrap(each) do
      places[#places + 1] = select(2, pcall(function() return slow[place] end))
    end
    return places
  end)

  -- But not inside a function of C that calls back: that is an error, nothing freezes.
  router:get("/nowhere", function()
    table.sort({ 2, 1, 3 }, function(a, b)
      async.sleep(0.001)
      return a < b
    end)
  end)

  -- Nor can a coroutine go on in another Lua state; values are what is sent.
  router:get("/moved", function()
    local counter = coroutine.create(function() coroutine.yield(1) end)
    return { async.run_blocking(coroutine.resume, counter) }
  end)

  router:on_error(function(_, err) return 422, { detail = tostring(err):gsub("^.-: ", "") } end)

  -- Each state has globals and locals of its own: what a thread writes is seen in that thread.
  local visits, state = 0, nil
  app:on_state(function(own) state = own end)
  local visit = perilune.blocking(function()
    visits = visits + 1
    return state.index
  end)

  -- Any number of tasks, and no more threads than the pool has: the others queue.
  router:get("/crowd", function(req)
    local count = math.tointeger(tonumber(req.query.tasks or "1000"))
    if not count or count < 1 or count > 5000 then perilune.abort(400, "tasks: from 1 to 5000") end
    local tasks, seen, threads = {}, {}, 0
    for i = 1, count do tasks[i] = req.tasks:schedule(visit) end
    for _, index in ipairs(async.gather(tasks)) do
      if not seen[index] then threads = threads + 1 end
      seen[index] = true
    end
    return { tasks = count, threads = threads, visits_seen_here = visits }
  end)

  return router
end
