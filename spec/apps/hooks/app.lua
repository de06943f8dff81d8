-- app.lua - every kind of hook, in an app and in those that are mounted in it.
--
-- What runs is noted in the log and in `app.events` of the state; /count counts what `every` runs.

local async = require "perilune.async"
local inner = require "inner"
local log = require "perilune.log"
local note = require "note"
local perilune = require "perilune"

local app = perilune.app { name = "outer", pools = { one = { threads = 1 } } }
app.events = note.events

app:on_stop(function()
  async.sleep(0.001)
  note.add "outer stop 1"
end)

app:on_start(function()
  note.add "outer start 1"
  async.sleep(0.001)
  note.add "outer start 1 ended"
end)

app:mount("/inner", inner)

app:on_state(function(state) note.add_state("outer state", state) end)
app:on_state(function(state) note.add_state("outer state 2", state) end)

-- Runs on the pool; what it says of its state comes back.
local where = perilune.blocking({ pool = "one" }, function() return note.state end)

app:on_start(perilune.blocking({ pool = "one" }, function()
  log.info("note outer blocking start", note.state)
end))

app:on_worker(function()
  note.add "outer worker"
  async.spawn(function()
    async.sleep(0.001)
    note.add "spawned by a worker"
  end)
end)

app:on_stop(setmetatable({}, { __call = function() note.add("outer stop 2 " .. where().role) end }))

--- Two calls that wait for each other, each in its own thread: where each ran.
app.meet = perilune.blocking(function(mine, other)
  assert(io.open(mine, "w")):close()
  while true do
    local file <close> = io.open(other)
    if file then return note.state end
    async.sleep(0.001)
  end
end)

--- What on_state had spawned in this thread when the first call ran, and whether it had ended.
app.spawned = perilune.blocking(function() return note.spawned end)

app:on_state(function(state)
  if state.role ~= "pool" then return end
  note.spawned = { begun = false, ended = false }
  async.spawn(function()
    local _ <close> = setmetatable({}, { __close = function()
      pcall(async.checkpoint) -- lets others run, the first call if that may
      note.spawned.ended = true
    end })
    note.spawned.begun = true
    async.sleep(1000)
  end)
  async.checkpoint()
end)

local count = 0
local function tick()
  count = count + 1
  if count == 2 then error "the second tick" end
end
app:every(0.001, tick)

app:get("/count", function() return { count = count } end)
app:get("/where", perilune.blocking(function() return note.state end))
app:get("/events", function() return { events = note.events } end)

--- A task that ends when it is cancelled, not before.
local function patient()
  local _ <close> = setmetatable({}, { __close = function() note.add "task ended" end })
  note.add "task begun"
  async.sleep(1000)
end

app:post("/task", function(req)
  req.tasks:schedule(patient)
  return 202
end)

app:post("/blocking-task", function(req)
  req.tasks:schedule(note.wait_in_pool)
  return 202
end)

app:get("/slow", function(req)
  note.add "request begun"
  async.sleep(tonumber(req.query.seconds))
  note.add "request ended"
  return "slow"
end)

return app
