-- scan.lua - finds functions, and what they call, in the text of a Lua file.
--
-- It reads tokens only: names, calls and nesting; what values are is known to who has loaded the
-- file (check_main.lua). A function inside the parentheses of perilune.blocking or
-- async.run_blocking is `elsewhere`: it does not run where the code around it does.

local tokens = require "perilune.cli.tokens"

local elsewhere_words = { blocking = true, run_blocking = true, background = true }

--- Calls of the standard library that hold the thread.
local blocking_calls = {
  ["os.execute"] = true, ["io.popen"] = true, ["io.read"] = true, ["io.stdin:read"] = true,
}
local blocks_without_arguments = { ["io.lines"] = true, ["io.stdin:lines"] = true }
local needs_arguments = { ["os.execute"] = true }

local openers = { ["function"] = true, ["do"] = true, ["then"] = true, ["repeat"] = true }
local not_callers = { ["function"] = true, ["and"] = true, ["or"] = true, ["not"] = true,
  ["return"] = true, ["if"] = true, ["while"] = true, ["in"] = true, ["="] = true }

local Scan = {}
Scan.__index = Scan

--- The dotted name that ends at token `i`, as "io.stdin:read"; nil when there is none.
function Scan:name_before(i)
  local list = self.list
  local token = list[i]
  if not token or token.kind ~= "name" then return nil end
  local name = token.text
  while list[i - 1] and (list[i - 1].text == "." or list[i - 1].text == ":")
    and list[i - 2] and list[i - 2].kind == "name" do
    name = list[i - 2].text .. list[i - 1].text .. name
    i = i - 2
  end
  local before = list[i - 1] and list[i - 1].text
  if before == "." or before == ":" then return nil end -- of the result of an expression
  return name, before
end

--- Whether the function that begins here is given to something that runs it elsewhere.
function Scan:is_elsewhere()
  for i = #self.parens, 1, -1 do
    local callee = self.parens[i]
    if callee.depth < #self.functions then return false end
    local last = callee.name and callee.name:match "[%w_]+$"
    if last and elsewhere_words[last] then return true end
  end
  return false
end

function Scan:begin_function(token, previous)
  local outer = self.functions[#self.functions]
  local is_value = previous ~= "local" and self.list[self.at + 1].text == "("
  local new = {
    first = token.line, outer = outer, calls = {}, names = {}, inner = {}, offloads = {},
    is_elsewhere = self:is_elsewhere(), is_argument = is_value and #self.parens > 0
      and self.parens[#self.parens].depth == #self.functions,
  }
  if outer then outer.inner[#outer.inner + 1] = new end
  self.found[#self.found + 1] = new
  self.functions[#self.functions + 1] = new
end

--- A call of the standard library that blocks; `(`, or a string or table, is at `i`.
function Scan:blocking_call(name, i)
  local is_empty = self.list[i].text == "(" and self.list[i + 1].text == ")"
  if needs_arguments[name] and is_empty then return false end
  return blocking_calls[name] or (blocks_without_arguments[name] and is_empty)
end

function Scan:note_call(i)
  local name, before = self:name_before(i - 1)
  local callee = { name = name and before ~= "function" and name, depth = #self.functions }
  local current = self.functions[#self.functions]
  if callee.name and current and not not_callers[name] then
    local call = { name = name, line = self.list[i].line, blocks = self:blocking_call(name, i) }
    current.calls[#current.calls + 1] = call
    if name:find "run_blocking$" then self:note_offload(current, i) end
  end
  return callee
end

--- The name of the function that is given to run_blocking, behind its options.
function Scan:note_offload(current, i)
  local k = i + 1
  if self.list[k].text == "{" then
    local depth = 0
    repeat
      depth = depth + (self.list[k].text == "{" and 1 or self.list[k].text == "}" and -1 or 0)
      k = k + 1
    until depth == 0 or not self.list[k + 1]
    k = k + 1
  end
  local token, after = self.list[k], self.list[k + 1]
  if token.kind == "name" and after and (after.text == "," or after.text == ")") then
    current.offloads[#current.offloads + 1] = { name = token.text, line = token.line }
  end
end

--- Blocks: `elseif ... then` and `for ... do`, `while ... do` open one each.
function Scan:open_or_close(token)
  local text = token.text
  if text == "elseif" or text == "else" then
    self.blocks[#self.blocks] = nil
    if text == "else" then self.blocks[#self.blocks + 1] = text end
  elseif openers[text] then
    self.blocks[#self.blocks + 1] = text
  elseif text == "end" or text == "until" then
    local block = table.remove(self.blocks)
    if block == "function" then table.remove(self.functions).last = token.line end
  end
end

function Scan:step(i)
  local token, previous = self.list[i], self.list[i - 1]
  self.at = i
  if token.kind == "word" then
    if token.text == "function" then self:begin_function(token, previous and previous.text) end
    self:open_or_close(token)
  elseif token.text == "(" then
    self.parens[#self.parens + 1] = self:note_call(i)
  elseif token.text == ")" then
    self.parens[#self.parens] = nil
  elseif (token.kind == "string" or token.text == "{") and previous and previous.kind == "name" then
    self:note_call(i)
  elseif token.kind == "name" then
    for _, current in ipairs(self.functions) do current.names[token.text] = true end
  end
end

--- The functions in a text that Lua has compiled.
---@param text string
---@return table[] functions { first=, last= (lines), outer=, inner=, is_elsewhere=, is_argument=,
--- calls = { { name=, line=, blocks= } }, offloads = { { name=, line= } }, names = set of names }
return function(text)
  local self = setmetatable({ list = tokens(text), functions = {}, found = {}, blocks = {},
    parens = {} }, Scan)
  for i = 1, #self.list do self:step(i) end
  return self.found
end
