-- test/assertions.lua - assert.task_scheduled, assert.task_not_scheduled and assert.task_order.
--
-- A failure shows what was scheduled, and of the task that comes nearest what is not as expected.

local check = require "perilune.check"
local luassert = require "luassert"
local matching = require "perilune.test.matching"
local say = require "say"

local SHOWN_MAX = 10

local function check_arguments(what, client, name_or_fn, args, fields)
  if type(client) ~= "table" or not client.scheduled then
    check.fail("assert.%s: argument 1 is a test client, not a %s", what, type(client))
  end
  local kind = type(name_or_fn)
  if kind ~= "string" and kind ~= "function" then
    check.fail("assert.%s: argument 2 is the name of a task or its function, not a %s", what, kind)
  end
  if args ~= nil then check.type("assert." .. what, 3, args, "table", "the list of arguments") end
  if fields ~= nil then check.type("assert." .. what, 4, fields, "table", "a table of fields") end
end

--- Looks at as many arguments as the longer list has.
local function compare_args(args, actual, problems)
  local count = math.max(args.n or #args, actual.n)
  for key in pairs(args) do
    if math.type(key) == "integer" and key > count then count = key end
  end
  for i = 1, count do
    matching.compare(args[i], actual[i], ("argument %d"):format(i), problems)
  end
end

local function is_called(entry, name_or_fn)
  return entry.name == name_or_fn or entry.fn == name_or_fn
end

--- What is wrong with a scheduled task as the one that is looked for.
local function find_problems(entry, args, fields)
  local problems = {}
  if args then compare_args(args, entry.args, problems) end
  for name, value in pairs(fields or {}) do
    matching.compare(value, entry[name], tostring(name), problems)
  end
  table.sort(problems)
  return problems
end

local function find(client, name_or_fn, args, fields)
  local nearest, nearest_problems
  for _, entry in ipairs(client.scheduled) do
    if is_called(entry, name_or_fn) then
      local problems = find_problems(entry, args, fields)
      if #problems == 0 then return entry end
      if not nearest or #problems < #nearest_problems then
        nearest, nearest_problems = entry, problems
      end
    end
  end
  return nil, nearest, nearest_problems
end

--- `send_mail("a@b.c") when=after_response status=done`
local function show_entry(entry)
  local args = {}
  for i = 1, entry.args.n do args[i] = matching.show(entry.args[i]) end
  return ("%s(%s) when=%s status=%s"):format(entry.name, table.concat(args, ", "), entry.when,
    entry.status)
end

local function list_scheduled(client)
  local lines = {}
  for i, entry in ipairs(client.scheduled) do
    if i > SHOWN_MAX then
      lines[i] = ("  and %d more"):format(#client.scheduled - SHOWN_MAX)
      break
    end
    lines[i] = "  " .. show_entry(entry)
  end
  if #lines == 0 then return "nothing was scheduled" end
  return "scheduled were:\n" .. table.concat(lines, "\n")
end

local function show_wanted(name_or_fn)
  return type(name_or_fn) == "string" and name_or_fn or matching.show(name_or_fn)
end

--- What luassert shows is the message alone: a client as text would be pages long.
local function answer(state, arguments, is_so, message)
  for i = 1, arguments.n do arguments[i] = nil end
  arguments.n = 0
  state.failure_message = message
  return is_so
end

local function task_scheduled(state, arguments)
  local client, name_or_fn, args, fields = table.unpack(arguments, 1, 4)
  check_arguments("task_scheduled", client, name_or_fn, args, fields)
  local entry, nearest, problems = find(client, name_or_fn, args, fields)
  if entry then
    return answer(state, arguments, true, "this one was: " .. show_entry(entry))
  end
  local wanted = show_wanted(name_or_fn)
  if not nearest then
    return answer(state, arguments, false,
      ("no task %s was scheduled; %s"):format(wanted, list_scheduled(client)))
  end
  return answer(state, arguments, false,
    ("no such task %s was scheduled; the nearest is %s\n  %s"):format(wanted, show_entry(nearest),
      table.concat(problems, "\n  ")))
end

local function task_not_scheduled(state, arguments)
  local client, name_or_fn, args, fields = table.unpack(arguments, 1, 4)
  check_arguments("task_not_scheduled", client, name_or_fn, args, fields)
  local entry = find(client, name_or_fn, args, fields)
  return answer(state, arguments, not entry,
    entry and "this task was scheduled: " .. show_entry(entry) or list_scheduled(client))
end

--- The names, other tasks between them left out.
local function task_order(state, arguments)
  local client, names = arguments[1], arguments[2]
  check_arguments("task_order", client, "")
  check.type("assert.task_order", 2, names, "table", "the list of names")
  local at = 1
  for _, entry in ipairs(client.scheduled) do
    if names[at] and is_called(entry, names[at]) then at = at + 1 end
  end
  local missing = names[at] and show_wanted(names[at])
  return answer(state, arguments, missing == nil, missing
    and ("%s is not scheduled in that order; %s"):format(missing, list_scheduled(client))
    or list_scheduled(client))
end

local assertions = {
  task_scheduled = task_scheduled, task_not_scheduled = task_not_scheduled,
  task_order = task_order,
}

for name, callback in pairs(assertions) do
  local key = "assertion." .. name
  say:set(key .. ".positive", "(assert." .. name .. ")")
  say:set(key .. ".negative", "(assert.is_not." .. name .. ")")
  luassert:register("assertion", name, callback, key .. ".positive", key .. ".negative")
end

return assertions
