-- test/tasks.lua - what an app under test schedules: the list, stand-ins, waiting for all of it.
--
-- The list has every task that is scheduled on the spec's event loop: by handlers, hooks and tasks,
-- and what pool threads and background loops schedule for a request. What a background loop
-- schedules for itself runs in another Lua state and is not seen here.

local app_native = require "perilune.native.app"
local check = require "perilune.check"
local native = require "perilune.native.service"

local tasks = {}

local POLL_SECONDS = 0.001
local FINISH_SECONDS = 10

local own_fields = { name = true, fn = true, when = true, task = true }

local Entry = { __name = "scheduled task" }

--- A field of its own, else of the task: args, status, results, error, attempt, ...
function Entry:__index(key)
  if own_fields[key] then return nil end
  local task = rawget(self, "task")
  if key == "options" then return task.config end
  if key == "error" then rawset(self, "is_read", true) end
  return task[key]
end

function Entry:__tostring()
  return ("scheduled task: %s (%s)"):format(self.name, self.task.status)
end

--- Begins to watch what the app schedules.
function tasks.watch(client, service)
  client.scheduled = {}
  client.stand_ins = {}
  local pending
  service:watch(function(step, subject, detail)
    if step == "before" then
      pending = { fn = subject, name = detail }
      return client.stand_ins[subject] or client.stand_ins[detail]
    end
    pending.task, pending.when = subject, detail
    table.insert(client.scheduled, setmetatable(pending, Entry))
  end)
end

--- From now on `fn` runs where the app schedules a task of that name or function.
function tasks.replace(client, name_or_fn, fn)
  local kind = type(name_or_fn)
  if kind ~= "string" and kind ~= "function" then
    check.fail("test.replace: argument 2 is the name of a task or its function, not a %s", kind)
  end
  check.type("test.replace", 3, fn, "function", "the function to run instead")
  client.stand_ins[name_or_fn] = fn
end

local function has_ended(entry)
  local status = entry.task.status
  return status ~= "waiting" and status ~= "running"
end

local function unfinished(client)
  local list = {}
  for _, entry in ipairs(client.scheduled) do
    if not has_ended(entry) then list[#list + 1] = entry end
  end
  return list
end

--- "send_mail (running), count (waiting)"
local function list_names(entries)
  local names = {}
  for i, entry in ipairs(entries) do names[i] = tostring(entry):match ": (.*)" end
  return table.concat(names, ", ")
end

--- Failed tasks that nobody has looked at, and marks them.
local function take_failed(client)
  local list = {}
  for _, entry in ipairs(client.scheduled) do
    if entry.task.status == "failed" and not rawget(entry, "is_read") then
      list[#list + 1] = entry
      rawset(entry, "is_read", true)
    end
  end
  return list
end

local function describe(entry)
  local traceback = entry.task.traceback
  return ("task %s failed: %s%s"):format(entry.name, app_native.error_text(entry.task.error),
    traceback and "\n" .. traceback or "")
end

--- Waits until every task has ended, those too that are scheduled meanwhile. Raises when one has
--- failed, or does not end in time.
---@param client table
---@param timeout number|nil seconds in reality
function tasks.finish(client, timeout)
  if timeout ~= nil and (type(timeout) ~= "number" or timeout <= 0) then
    check.fail("finish_tasks: argument 1 is a number of seconds above 0, not %s",
      tostring(timeout))
  end
  timeout = timeout or FINISH_SECONDS
  local polls = math.ceil(timeout / POLL_SECONDS)
  local left = unfinished(client)
  while #left > 0 do
    if client.chosen.clock == "virtual" then
      client.service:advance(0)
      left = unfinished(client)
      if #left == 0 then break end
      check.fail("finish_tasks: these wait for time, which client.clock:advance(seconds) lets"
        .. " pass: %s", list_names(left))
    end
    if polls == 0 then
      check.fail("finish_tasks: not ended within %g s: %s", timeout, list_names(left))
    end
    polls = polls - 1
    native.pause(POLL_SECONDS)
    left = unfinished(client)
  end
  local failed = take_failed(client)
  if #failed == 0 then return end
  local texts = {}
  for i, entry in ipairs(failed) do texts[i] = describe(entry) end
  check.fail("%s", table.concat(texts, "\n"))
end

return tasks
