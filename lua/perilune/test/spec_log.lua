-- test/spec_log.lua - the lines of the log beneath the failure of the spec that made them.
--
-- While a spec runs its lines are kept. Of those at most 20 lines and 4 KiB are shown: first the
-- errors of requests, with their tracebacks, then other lines of requests, then the rest; of each
-- kind the newest. In the order in which they were written.

local native = require "perilune.native.checks"

local spec_log = {}

local LINES_MAX = 20
local BYTES_MAX = 4096
local INDENT = "  "

local is_keeping = false

--- Keeps what the log has to say while fn runs; gives what that gives.
function spec_log.keep(passes_on, fn, ...)
  native.keep_log(passes_on)
  is_keeping = true
  local results = table.pack(pcall(fn, ...))
  is_keeping = false
  native.end_log()
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

--- How much a line says of what has gone wrong: of both formats of the log.
local function rank(entry)
  local first = entry:match "^[^\n]*"
  local level = first:match "^%S+%s+(%l+)" or first:match '"level":"(%l+)"'
  local is_problem = level == "error" or level == "warn"
  local is_of_request = first:find " request=%x" or first:find '"request":"'
  if not is_of_request then return is_problem and 2 or 1 end
  return level == "error" and 4 or 3
end

local function split(entry)
  local lines = {}
  for line in entry:gmatch "[^\n]+" do lines[#lines + 1] = line end
  return lines
end

local function size_of(lines)
  local bytes = 0
  for _, line in ipairs(lines) do bytes = bytes + #INDENT + #line + 1 end
  return bytes
end

--- As much as fits of the one that says most; what is cut is counted.
local function cut(lines)
  local kept, bytes = {}, 0
  for i, line in ipairs(lines) do
    local room = BYTES_MAX - bytes - #INDENT - 1
    if i > LINES_MAX or room <= 0 then break end
    if #line > room then line = line:sub(1, (utf8.offset(line, 0, room + 1) or room + 1) - 1) end
    kept[i] = line
    bytes = bytes + #INDENT + #line + 1
  end
  return kept
end

--- Chooses those that are shown: by their numbers, each as its lines.
local function choose(entries)
  local order, chosen, lines_left, bytes_left = {}, {}, LINES_MAX, BYTES_MAX
  local ranks = {}
  for i, entry in ipairs(entries) do
    order[i] = i
    ranks[i] = rank(entry)
  end
  table.sort(order, function(a, b)
    if ranks[a] ~= ranks[b] then return ranks[a] > ranks[b] end
    return a > b
  end)
  for position, i in ipairs(order) do
    local lines = split(entries[i])
    if position == 1 then lines = cut(lines) end
    local bytes = size_of(lines)
    if #lines <= lines_left and bytes <= bytes_left then
      chosen[i] = lines
      lines_left, bytes_left = lines_left - #lines, bytes_left - bytes
    end
  end
  return chosen
end

--- The message of a failure with the log of its spec beneath it.
---@param message any
---@return any message as it was where nothing was logged
function spec_log.add_to(message)
  if not is_keeping then return message end
  local entries, left_out = native.take_log()
  if #entries == 0 then return message end
  local chosen = choose(entries)
  local text = { tostring(message), "the log meanwhile:" }
  for i = 1, #entries do
    if not chosen[i] then left_out = left_out + 1 end
    for _, line in ipairs(chosen[i] or {}) do text[#text + 1] = INDENT .. line end
  end
  if left_out > 0 then
    text[#text + 1] = ("%s(%d further lines are left out; -v writes all of them as they come)")
      :format(INDENT, left_out)
  end
  return table.concat(text, "\n")
end

return spec_log
