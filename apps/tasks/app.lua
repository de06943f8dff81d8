-- app.lua - tasks: what goes on beside a request, and after it.
--
-- What the tasks have done is in a journal, which GET /journal shows. orders.lua has retries and
-- what is done about failures, payments.lua what the end of the server waits for.

local async = require "perilune.async"
local journal = require "journal"
local perilune = require "perilune"

local app = perilune.app { name = "tasks" }

journal.open(app.settings.journal, app)
app:get("/journal", function() return { journal = journal.lines() } end)

app:mount("/orders", require "orders")
app:mount("/payments", require "payments")

-- Two kinds of functions: these run on the event loop, as coroutines ...
local function greet(name) journal.write("greeted %s", name) end
local function count_signup(name) journal.write("counted %s", name) end
local function send_welcome(email) journal.write("welcomed %s", email) end

-- ... and these on a thread of the pool.
local hash_avatar = perilune.blocking(function(name)
  local hash = #name
  for _ = 1, 100000 do hash = hash * 33 % 4294967291 end
  return hash
end)
local archive = perilune.blocking(function(name) journal.write("archived %s", name) end)
local export = perilune.blocking(function(email) journal.write("exported %s", email) end)

-- Three timings, and one call for both kinds.
app:post("/users", function(req)
  local user, tasks = req:json(), req.tasks
  if type(user) ~= "table" or type(user.name) ~= "string" or type(user.email) ~= "string" then
    perilune.abort(422, "name and email are needed")
  end
  local avatar = tasks:schedule(hash_avatar, user.name) -- now
  tasks:schedule(greet, user.name)
  tasks.after_route:schedule(count_signup, user.name) -- when the handler has returned
  tasks.after_route:schedule(archive, user.name)
  tasks.after_response:schedule(send_welcome, user.email) -- when the response is out
  tasks.after_response:schedule(export, user.email)
  return 201, { name = user.name, avatar = avatar:wait() } -- a task's result, for who waits
end)

-- A task has a name and an id: by that it is found later, on whichever worker.
local function report(seconds)
  async.sleep(seconds)
  return { pages = 12 }
end
local function note_cancel(task, reason) journal.write("no %s: %s", task.name, reason) end

app:post("/reports", perilune.blocking(function(req) -- from a thread it is scheduled just so
  local seconds = tonumber(req.query.seconds or "0.1")
  if not seconds or seconds < 0 or seconds > 60 then
    perilune.abort(400, "seconds: from 0 to 60")
  end
  local tasks = req.tasks:task { name = "yearly report", on_cancel = note_cancel }
  return 202, { task = tasks:schedule(report, seconds).id }
end))

local function found(req)
  return app.tasks:find(req.params.id) or perilune.abort(404, "no such task")
end

app:get("/tasks/{id}", function(req)
  local task = found(req)
  local result = task.status == "done" and task.results[1] or nil
  return { name = task.name, status = task.status, attempt = task.attempt, result = result }
end)

app:delete("/tasks/{id}", function(req)
  found(req):cancel "nobody wants it"
  return 202
end)

return app
