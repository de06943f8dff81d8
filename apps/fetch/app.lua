-- app.lua - a hundred URLs: one after the other, all at once, and by blocking calls on a pool.
--
-- The same perilune.http in both kinds of functions. A coroutine per URL costs no thread; blocking
-- calls go as many at a time as the pool has threads.

local async = require "perilune.async"
local http = require "perilune.http"
local perilune = require "perilune"

local app = perilune.app { name = "fetch", pools = { fetchers = { threads = 10 } } }

local function name_of(url)
  local res = http.get(url)
  res:raise_for_status()
  return res:json().name
end

local name_of_blocking = perilune.blocking({ pool = "fetchers" }, name_of)

--- Times `run`, and says what it has fetched.
local function measured(run)
  return function(req)
    local count = math.tointeger(tonumber(req.query.count or "100"))
    if not count or count < 1 or count > 1000 then perilune.abort(400, "count: from 1 to 1000") end
    local urls, seconds = {}, tonumber(req.query.seconds or "0.05") or 0.05
    for i = 1, count do
      urls[i] = ("%s/items/%d?seconds=%g"):format(app.settings.services, i, seconds)
    end
    local begun = async.now()
    local names = run(urls)
    return { count = #names, last = names[#names], seconds = async.now() - begun }
  end
end

app:get("/sequential", measured(function(urls)
  local names = {}
  for i, url in ipairs(urls) do names[i] = name_of(url) end
  return names
end))

app:get("/together", measured(function(urls)
  return async.map(urls, name_of)
end))

app:get("/limited", measured(function(urls)
  return async.map(urls, name_of, { limit = 10 })
end))

-- The same ten at a time, by workers and a channel; it holds 100 values, a further send waits.
app:get("/workers", measured(function(urls)
  local jobs, names = async.channel(100), {}
  async.group(function(group)
    for _ = 1, 10 do
      group:spawn(function() for job in jobs:each() do names[job.at] = name_of(job.url) end end)
    end
    for at, url in ipairs(urls) do jobs:send { at = at, url = url } end
    jobs:close()
  end)
  return names
end))

app:get("/blocking", measured(function(urls)
  return async.map(urls, name_of_blocking)
end))

-- A web hook, called by a task: nobody waits for it.
local function notify(event)
  http.post(app.settings.services .. "/hooks", { json = event }):raise_for_status()
end

app:post("/notify", function(req)
  local event = req:json()
  if type(event) ~= "table" then perilune.abort(422, "a JSON object is needed") end
  req.tasks.after_response:task { retries = 2, timeout = 5 }:schedule(notify, event)
  return 202
end)

app:on_error("http", function(_, err) return 502, { detail = err.message } end)

return app
