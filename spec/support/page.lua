-- page.lua - the commands that a page of the tutorial shows, and how they are run in a spec.
--
-- A page (README.md of an app) has lines of four spaces, a command, and behind two spaces or more
-- what it shows. "ID" and "CODE" stand for what an earlier command has answered. Ports are those of
-- the servers that the spec has started, and /tmp is the spec's own directory. curl is run with a
-- limit; one that reads an endless stream, or waits for others, is ended soon.

local process = require "perilune.process"

local page = {}

local LIMIT_S, STREAM_LIMIT_S = 120, 1
local STREAM_ENDED = 28 -- curl's exit code for --max-time
local PLACEHOLDERS = { ID = '"task":"([%w_-]+)"', CODE = '"code":"([%w_-]+)"' }

--- The commands of a page: a list of { command=, words= }.
function page.commands(text)
  local list = {}
  for line in text:gmatch "\n    (%S[^\n]*)" do
    local command, words = line:match "^(.-)  +(.*)$"
    command = command or line
    if command:find "^curl " or command:find "^time curl " or command:find "^echo " then
      list[#list + 1] = { command = command, words = words or "" }
    end
  end
  return list
end

local function is_endless(command)
  return command:find("curl -N", 1, true) or command:find("/next", 1, true)
end

--- Runs a command. curl writes the status behind each answer.
---@param command string for the shell
---@param place table { dir=, ports={ [8080]=, ... }, answers= all that was answered so far }
---@return table { code=, out=, err=, statuses= }
function page.run(command, place)
  for name, pattern in pairs(PLACEHOLDERS) do
    local last = (place.answers or ""):match(".*" .. pattern)
    command = command:gsub("%f[%w]" .. name .. "%f[%W]", last or name)
  end
  for port, own in pairs(place.ports) do
    command = command:gsub("localhost:" .. port, "127.0.0.1:" .. own)
  end
  command = command:gsub("/tmp/", place.dir .. "/"):gsub("^time ", "")
  local limit = is_endless(command) and STREAM_LIMIT_S or LIMIT_S
  local shell = ([[
    curl() { command curl -sS --noproxy '*' --max-time %d -w ' <%%{http_code}>' "$@"; }
    %s
    code=$?; wait; exit $code]]):format(limit, command)
  local result = process.run { "sh", "-c", shell, cwd = place.dir }
  if is_endless(command) and result.code == STREAM_ENDED then result.code = 0 end
  local statuses = {}
  for status in result.stdout:gmatch " <(%d%d%d)>" do statuses[#statuses + 1] = tonumber(status) end
  local out = result.stdout:gsub(" <%d%d%d>", "")
  return { code = result.code, out = out, err = result.stderr, statuses = statuses }
end

--- What is wrong with the result of a command, nil for nothing: words that begin with a status say
--- which, else all is below 400.
function page.problem(result, words)
  if result.code ~= 0 then
    return ("exit code %s: %s"):format(tostring(result.code), result.err)
  end
  local expected = tonumber(words:match "^(%d%d%d)%f[%D]")
  for _, status in ipairs(result.statuses) do
    local is_right = status < 400
    if expected then is_right = status == expected end
    if not is_right then return ("status %d: %s"):format(status, result.out) end
  end
end

return page
