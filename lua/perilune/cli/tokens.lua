-- tokens.lua - the tokens of a Lua text: names, reserved words, strings, numbers and signs.
--
-- tokens(text) is for texts that Lua compiles; comments are left out. The last token is an empty
-- one, so that who looks one ahead need not ask.

local words = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch "%a+" do words[word] = true end

--- Where the long bracket that begins at `at` ends, or nil: there is none.
local function long_bracket_end(text, at)
  local level = text:match("^%[(=*)%[", at)
  if not level then return nil end
  local _, last = text:find("]" .. level .. "]", at, true)
  return last or #text
end

local function comment_end(text, at)
  return long_bracket_end(text, at + 2) or (text:find("\n", at, true) or #text + 1) - 1
end

local function string_end(text, at)
  local quote = text:sub(at, at)
  local i = at + 1
  while i <= #text and text:sub(i, i) ~= quote do
    i = i + (text:sub(i, i) == "\\" and 2 or 1)
  end
  return i
end

--- The kind and the end of what begins at `at`, which is no blank.
local function read(text, at)
  if text:find("^%-%-", at) then return "comment", comment_end(text, at) end
  local _
  local last = long_bracket_end(text, at)
  if last then return "string", last end
  if text:find("^[\"']", at) then return "string", string_end(text, at) end
  _, last = text:find("^[%a_][%w_]*", at)
  if last then return words[text:sub(at, last)] and "word" or "name", last end
  _, last = text:find("^0[xX][%x.]*[pP]?[+-]?%x*", at)
  if not last then _, last = text:find("^%.?%d[%d.]*[eE][+-]?%d+", at) end
  if not last then _, last = text:find("^%.?%d[%w.]*", at) end
  if last then return "number", last end
  _, last = text:find("^[.=~<>/:]+", at)
  return "sign", (last and not text:find("^[:.]%a", at)) and last or at
end

---@param text string
---@return table[] tokens { kind=, text=, line= }
return function(text)
  local list, line, at = {}, 1, 1
  if text:sub(1, 1) == "#" then at = text:find("\n", 1, true) or #text + 1 end
  while at <= #text do
    local blank = text:match("^%s+", at)
    local kind, last = "blank", blank and at + #blank - 1
    if not blank then kind, last = read(text, at) end
    local part = text:sub(at, last)
    if kind ~= "blank" and kind ~= "comment" then
      list[#list + 1] = { kind = kind, text = part, line = line }
    end
    line = line + select(2, part:gsub("\n", "\n"))
    at = last + 1
  end
  list[#list + 1] = { kind = "sign", text = "", line = line }
  return list
end
