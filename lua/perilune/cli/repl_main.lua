-- repl_main.lua - reads lines, runs them in a fiber, prints what they give.
--
-- A line that is the beginning of something goes on in the next one. An error is printed with its
-- traceback and ends nothing. Lines are read by a thread of the app's pool, so that what the app
-- runs goes on meanwhile.

local async = require "perilune.async"
local perilune = require "perilune"
local read_line = require "perilune.cli.read_line"
local runner = require "perilune.runner"
local show = require "perilune.cli.show"
local test = require "perilune.test"

local CHUNK = "=prompt"

local Repl = {}
Repl.__index = Repl

function Repl:read_line(prompt)
  if self.has_prompt then
    io.write(prompt)
    io.stdout:flush()
  end
  return async.run_blocking(read_line)
end

--- A text as a function: an expression, or statements. Else what is wrong with it, and whether
--- more lines may mend that.
local function compile(text)
  local fn, as_expression = load("return " .. text, CHUNK)
  if fn then return fn end
  local problem
  fn, problem = load(text, CHUNK)
  if fn then return fn end
  return nil, problem, (as_expression .. "\n" .. problem):find "<eof>%f[\n\0]" ~= nil
end

--- The next whole chunk as a function; nil and what is wrong with it; false at the end.
function Repl:read_chunk()
  local text = self:read_line "> "
  if not text then return false end
  while true do
    local fn, problem, is_unfinished = compile(text)
    if not is_unfinished then return fn, problem end
    local line = self:read_line ">> "
    if not line then return nil, problem end
    text = text .. line
  end
end

--- The traceback, without what is below the chunk.
local function trace(err)
  local text = debug.traceback(type(err) == "string" and err or show(err), 2)
  return (text:gsub("\n[^\n]*in function 'xpcall'.*$", ""))
end

local function print_results(ok, ...)
  if not ok then
    io.stderr:write((...), "\n")
    return
  end
  local count = select("#", ...)
  if count == 0 then return end
  local shown = {}
  for i = 1, count do shown[i] = show((select(i, ...))) end
  io.write(table.concat(shown, "\t"), "\n")
end

function Repl:run()
  while true do
    local fn, problem = self:read_chunk()
    if fn == false then break end
    if fn then
      print_results(xpcall(fn, trace))
    else
      io.stderr:write(problem, "\n")
    end
    io.stdout:flush()
  end
  if self.has_prompt then io.write "\n" end
end

---@param arguments table dir, has_prompt
---@return integer exit_code
local function main(arguments)
  runner.dir = arguments.dir
  local client = test.client()
  _G.client, _G.app, _G.perilune, _G.async = client, client.app, perilune, async
  setmetatable({ has_prompt = arguments.has_prompt }, Repl):run()
  client:close()
  return 0
end

return main
