-- measure.lua - what the app and the bare program measure with.
--
-- Time is CPU time of the whole process, in nanoseconds for one operation. Memory is what the
-- process holds of it (VmRSS), and what Lua counts itself.

local measure = {}

local NS = 1e9

function measure.empty() end

--- Nanoseconds of one of the `count` operations that batch() does: batches for so many seconds.
function measure.cost(seconds, count, batch)
  batch() -- warms up
  local done, first = 0, os.clock()
  local now
  repeat
    batch()
    done = done + count
    now = os.clock()
  until now - first >= seconds
  return (now - first) * NS / done
end

local function rss_bytes()
  for line in io.lines "/proc/self/status" do
    local kibibytes = line:match "^VmRSS:%s+(%d+) kB"
    if kibibytes then return kibibytes * 1024 end
  end
  error "/proc/self/status has no VmRSS"
end

--- A list with room for `count` values, so that it grows no more while memory is measured.
function measure.list(count)
  local list = {}
  for i = 1, count do list[i] = false end
  return list
end

--- The figures of `count` tasks: park() creates them until all wait, cancel() ends them.
function measure.waiting(count, park, cancel)
  collectgarbage()
  local rss, kibibytes, begun = rss_bytes(), collectgarbage "count", os.clock()
  park()
  local parked = os.clock()
  local grown = rss_bytes() - rss
  collectgarbage()
  local counted = (collectgarbage "count" - kibibytes) * 1024
  local cancelling = os.clock()
  cancel()
  local cancelled = os.clock()
  return { sleep = (parked - begun) * NS / count, sleep_bytes = grown / count,
    lua_bytes = counted / count, cancel = (cancelled - cancelling) * NS / count }
end

--- What a workload gave as lines of text, a figure's name and value in each; a number is the
--- figure of the workload's own name.
function measure.text(workload, figures)
  local lines = {}
  if type(figures) == "number" then figures = { [workload] = figures } end
  for name, value in pairs(figures) do lines[#lines + 1] = ("%s %.2f\n"):format(name, value) end
  return table.concat(lines)
end

return measure
