-- test/checks.lua - what is looked at after each spec: stalls, tasks, what is open, calls, errors.
--
-- A spec that has passed fails when it held the event loop for too long or left something behind.
-- What an app has opened and still refers to is its own until its client is closed; what nobody
-- refers to any more was left. The test clients that were open during it say which checks apply.
-- `begin` and `finish` are called by cli/test_main.lua around each `it`.

local check = require "perilune.check"
local native = require "perilune.native.checks"
local runner = require "perilune.runner"
local service = require "perilune.native.service"

local checks = {}

local STALL_LIMIT_SECONDS = 0.1
local GRACE_POLLS = 200
local POLL_SECONDS = 0.001

--- By name, in the order of their reports.
checks.names = { "stalls", "tasks", "files", "watches", "databases", "subscriptions", "streams",
  "calls", "errors" }

--- Of the spec that runs; nil between specs. Busted loads modules of specs anew for each file: this
--- one is loaded before.
local current

-- --- files --------------------------------------------------------------------------------------

local function note_file(file)
  local is_file = current and io.type(file) == "file"
  if not is_file then return file end
  table.insert(current.files, { file = file, line = check.where(), is_of_app = native.is_of_app() })
  return file
end

--- Lets functions of io note which line has called them; once in a state. (io.popen warns of
--- itself.)
function checks.watch_files()
  for _, name in ipairs { "open", "tmpfile" } do
    local open = io[name]
    rawset(io, name, function(...)
      local file, problem, code = open(...)
      if not file then return file, problem, code end
      return note_file(file)
    end)
  end
end

-- --- the options of clients ---------------------------------------------------------------------

--- Checks the options `checks` and `stall_limit` of a client.
function checks.check_options(options)
  check.field(options, "stall_limit", "number")
  if options.stall_limit and options.stall_limit <= 0 then
    check.fail('option "stall_limit" is a number of seconds above 0')
  end
  local chosen = options.checks
  if chosen == nil or type(chosen) == "boolean" then return end
  check.field(options, "checks", "table")
  check.options(chosen, checks.names)
  for _, name in ipairs(checks.names) do check.field(chosen, name, "boolean") end
end

--- A client is open: what it says counts for this spec and, until it is closed, for further ones.
function checks.add_client(client)
  runner.clients[client] = true
  if current then current.clients[client] = #client.scheduled end
end

function checks.remove_client(client)
  runner.clients[client] = nil
end

--- Whether every client that was open wants it, and one there was.
local function applies(name)
  local has_client = false
  for client in pairs(current.clients) do
    has_client = true
    local chosen = client.chosen.checks
    if chosen == nil then chosen = runner.is_app end
    if type(chosen) == "table" then chosen = chosen[name] ~= false end
    if not chosen then return false end
  end
  return has_client
end

-- --- what was left ------------------------------------------------------------------------------

local function find_stall(problems)
  local seconds, place = native.end_stalls()
  if not applies "stalls" then return end
  local limit = STALL_LIMIT_SECONDS
  for client in pairs(current.clients) do limit = client.chosen.stall_limit or limit end
  limit = limit * native.slowness()
  if seconds <= limit then return end
  local text = "the event loop was held for %.2f s, longer than stall_limit (%g s): %s"
  problems[#problems + 1] = text:format(seconds, limit, place)
end

--- What the collector has found stays.
local function may_end(found)
  for _, row in ipairs(found) do
    if type(row) ~= "table" or not row.is_collected then return true end
  end
  return false
end

--- Lets others run until `find` finds nothing, for a while.
local function settle(find)
  local found = find()
  for _ = 1, GRACE_POLLS do
    if not may_end(found) then break end
    service.pause(POLL_SECONDS)
    found = find()
  end
  return found
end

local function find_new_tasks()
  local found = {}
  for _, row in ipairs(native.tasks()) do
    if not current.tasks[row.task] then found[#found + 1] = row end
  end
  return found
end

local function find_tasks(problems)
  if not applies "tasks" then return end
  for _, row in ipairs(settle(find_new_tasks)) do
    problems[#problems + 1] = ("a task was left running, made at %s: %s"):format(
      row.made or "an unknown line", row.text)
    row.task:cancel "its spec has ended"
  end
end

local function has_open_client()
  for client in pairs(current.clients) do
    if client.service then return true end
  end
  return false
end

--- Which of these files nobody but this list refers to. Runs in a coroutine of its own, so that no
--- stack has them.
local function find_unreferenced(entries)
  local seen = setmetatable({}, { __mode = "v" })
  for i, entry in ipairs(entries) do
    seen[i] = entry.file
    entry.file = nil
  end
  collectgarbage()
  for i, entry in ipairs(entries) do
    entry.is_collected = seen[i] == nil
    entry.file = seen[i]
  end
end

--- Files of io that are still open; those of an app only where they are left.
local function find_io_files()
  local of_app, left = {}, {}
  for _, entry in ipairs(current.files) do
    if io.type(entry.file) == "file" then
      table.insert(entry.is_of_app and of_app or left, entry)
    end
  end
  current.files = {}
  if #of_app > 0 then coroutine.wrap(find_unreferenced)(of_app) end
  for _, entry in ipairs(of_app) do
    if entry.is_collected or not has_open_client() then left[#left + 1] = entry end
  end
  for _, entry in ipairs(left) do
    if entry.file then entry.file:close() end
  end
  return left
end

local function is_left(row)
  return row.is_collected or not row.is_of_app or not has_open_client()
end

local function find_opened()
  native.settle_opened()
  local found = {}
  for _, row in ipairs(native.opened()) do
    if applies(row.check) and is_left(row) then found[#found + 1] = row end
  end
  return found
end

local shown_as = {
  files = "a file",
  watches = "a watch of fs.watch",
  databases = "a database",
  subscriptions = "a subscription",
  streams = "the stream of a response",
}

local function find_open(problems)
  local lines = {}
  for _, row in ipairs(settle(find_opened)) do
    local what = shown_as[row.check]
    lines[#lines + 1] = ("%s was left open that %s has opened"):format(what, row.line)
  end
  if applies "files" then
    for _, entry in ipairs(find_io_files()) do
      lines[#lines + 1] = ("a file was left open that %s has opened"):format(entry.line)
    end
  end
  table.sort(lines)
  table.move(lines, 1, #lines, #problems + 1, problems)
end

local function find_busy_calls()
  local found = {}
  for client in pairs(current.clients) do
    if client.service then
      for _, text in ipairs(client.service:busy_calls()) do found[#found + 1] = text end
    end
  end
  return found
end

local function find_calls(problems)
  if not applies "calls" then return end
  for _, text in ipairs(settle(find_busy_calls)) do
    problems[#problems + 1] = "a call was left running: " .. text:gsub("^name:", "")
  end
end

local function is_unread(entry)
  local task = entry.task
  return task.status == "failed" and not native.was_read(task) and not rawget(entry, "is_read")
    and not task.config.on_error
end

local function find_errors(problems)
  if not applies "errors" then return end
  for client, count in pairs(current.clients) do
    for i = count + 1, #client.scheduled do
      local entry = client.scheduled[i]
      if is_unread(entry) then
        problems[#problems + 1] = ("nobody has looked at the error of task %s: %s\n%s"):format(
          entry.name, tostring(entry.task.error), entry.task.traceback or "")
      end
    end
  end
end

-- --- around a spec ------------------------------------------------------------------------------

--- A spec begins.
function checks.begin()
  current = { clients = {}, tasks = {}, files = {} }
  for client in pairs(runner.clients) do current.clients[client] = #client.scheduled end
  for _, row in ipairs(native.tasks()) do current.tasks[row.task] = true end
  native.watch_opened()
  native.watch_stalls()
end

--- A spec has ended; raises what it has left, if it has passed.
---@param has_passed boolean
---@param line string where the spec is written
function checks.finish(has_passed, line)
  local problems = {}
  if has_passed then
    for _, find in ipairs { find_stall, find_tasks, find_open, find_calls, find_errors } do
      find(problems)
    end
  else
    native.end_stalls()
  end
  current = nil
  native.unwatch_opened()
  if #problems > 0 then error(line .. ": " .. table.concat(problems, "\n"), 0) end
end

--- What the framework itself has done just now is no stall of the spec.
checks.skip_stall = native.skip_stall

return checks
