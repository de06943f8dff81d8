-- app.lua - several things at once: a dashboard of three slow services.
--
-- One after the other they take the sum of their times, together the longest of them. What becomes
-- of the others when one fails or is too slow is what the other routes show.

local async = require "perilune.async"
local perilune = require "perilune"
local upstream = require "upstream"

local app = perilune.app { name = "dashboard" }
app:mount("/upstream", upstream.router)
app:mount("/", require "kinds")

local load = upstream.load -- load(req, name): what a service answers, or its error
local names = { "orders", "profile", "offers" }

app:get("/sequential", function(req)
  local page = {}
  for _, name in ipairs(names) do page[name] = load(req, name) end -- about 190 ms
  return page
end)

app:get("/together", function(req)
  return async.gather { -- about 80 ms; the first error cancels the others
    orders = { load, req, "orders" },
    profile = { load, req, "profile" },
    offers = { load, req, "offers" },
  }
end)

app:get("/whatever", function(req)
  local page = async.settle { orders = { load, req, "orders" }, offers = { load, req, "offers" } }
  for name, row in pairs(page) do
    page[name] = row.ok and row.value or { problem = row.error.kind }
  end
  return page
end)

app:get("/fastest", function(req)
  local index, answer = async.any({ load, req, "orders" }, { load, req, "offers" })
  return { index = index, answer = answer }
end)

app:get("/in_time", function(req)
  local ok, answer = pcall(async.timeout, 0.07, load, req, req.query.name or "profile")
  return ok and { answer = answer } or { problem = answer.kind }
end)

-- At most two at a time, however many are asked for.
app:get("/many", function(req)
  local wanted = {}
  for i = 1, math.min(tonumber(req.query.count) or 6, 100) do wanted[i] = names[i % #names + 1] end
  return async.map(wanted, function(name) return load(req, name) end, { limit = 2 })
end)

-- Children that are started one by one, and a channel between them and the handler.
app:get("/as_they_come", function(req)
  local arrived = async.channel(#names)
  return perilune.stream(function(write)
    async.group(function(group)
      for _, name in ipairs(names) do
        group:spawn(function()
          load(req, name)
          arrived:send(name)
        end)
      end
      for _ = 1, #names do write(arrived:receive() .. "\n") end
    end)
  end)
end)

app:on_error("http", function(_, err) return 502, { detail = err.message } end)

return app
