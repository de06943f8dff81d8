-- life.lua - running the hooks of a loaded app.
--
-- Called from C (src/server_thread.c, src/roles) in a fiber for each kind of hook,
-- and by test.lua; so they may wait. Each hook runs in a task of its own: what ends one, an
-- interruption too, leaves the others alone. An error is logged here.

local async = require "perilune.async"
local log = require "perilune.log"
local loops = require "perilune.native.loop"
local native = require "perilune.native.life"

local CLOCK_ERROR_SECONDS = 1e-6 -- what adding up times may have cost

--- Calls a hook to its end. Nothing when it has returned; else what went wrong, as one line and as
--- it was raised.
local function call(hook, role, name, index)
  local arguments = role and { { role = role, name = name, index = index } } or {}
  local has_returned = false
  local _, err = pcall(async.gather, function()
    hook.fn(table.unpack(arguments))
    has_returned = true
  end)
  if not has_returned then
    return native.failed(hook.owner or "app", hook.name, hook.source, err), err
  end
end

--- Those of one name, in the order of writing.
local function select_hooks(hooks, name)
  local list = {}
  for _, hook in ipairs(hooks) do
    if hook.name == name then list[#list + 1] = hook end
  end
  return list
end

local function run_list(hooks, name, ...)
  for _, hook in ipairs(select_hooks(hooks, name)) do
    local text, err = call(hook, ...)
    if text then return text, err end
  end
end

local function run_until_failure(app, name, ...)
  return run_list(app.all_hooks, name, ...)
end

--- Last first, and all of them; gives what was wrong with the first that failed.
local function run_list_backwards(hooks, name)
  local list = select_hooks(hooks, name)
  local first_text, first_err
  for i = #list, 1, -1 do
    local text, err = call(list[i])
    if not first_text then first_text, first_err = text, err end
  end
  return first_text, first_err
end

local function run_backwards(app, name)
  return run_list_backwards(app.all_hooks, name)
end

--- In the state of a background loop.
local function begin_loop(app, _, name)
  local text, err = run_until_failure(app, "on_state", "background", name, 1)
  if text then return text, err end
  return run_list(loops.find(name), "on_start")
end

local function end_loop(_, _, name)
  return run_list_backwards(loops.find(name), "on_stop")
end

--- Runs what is due as a task, so that its error is logged as that of any other, and waits for it.
local function run_once(hook, tasks)
  local ok, task = pcall(tasks.schedule, tasks, hook.fn)
  if ok then
    pcall(task.wait, task)
  else
    log.error("task not started", { source = hook.source, error = tostring(task) })
  end
end

local function run_every(hook, tasks)
  local due = async.now() + hook.seconds
  while true do
    async.sleep(due - async.now())
    run_once(hook, tasks)
    local late = math.max(async.now() - due - CLOCK_ERROR_SECONDS, 0)
    due = due + (late - late % hook.seconds) + hook.seconds
  end
end

local function start_every(app, name)
  local tasks = native.scheduler()
  for _, hook in ipairs(select_hooks(app.all_hooks, name)) do
    local is_function = type(hook.fn) == "function"
    async.spawn(run_every, hook, is_function and tasks or tasks:task { name = hook.source })
  end
end

local runners = {
  on_state = run_until_failure, on_start = run_until_failure, on_worker = run_until_failure,
  every = start_every, on_stop = run_backwards, begin_loop = begin_loop, end_loop = end_loop,
}

--- Runs the hooks of one kind.
---@param kind "on_state"|"on_start"|"on_worker"|"every"|"on_stop"|"begin_loop"|"end_loop"
---@param app table
---@param ... string|integer for on_state: role, name and index of the state; for loops: the name
---@return string|nil text one line: which hook failed, where it is written, and why
---@return any err as it was raised
return function(kind, app, ...)
  return runners[kind](app, kind, ...)
end
