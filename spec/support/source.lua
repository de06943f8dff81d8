-- source.lua - reads source files of the project as the tidy specs look at them.
--
-- A source knows its path, text and lines; on demand also its code (comments and the contents of
-- strings blanked, every byte still at its place), its includes, its functions and, of C, the items
-- at file scope. It relies on what clang-format and luacheck promise (top-level items begin at
-- column 0, blocks are closed); it is no parser of wrong programs.

local lfs = require "lfs"

local source = {}
source.__index = source
source.__name = "source"

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

--- The place behind a quoted string that begins at `start`.
local function skip_quoted(text, start)
  local quote = text:sub(start, start)
  local at = start + 1
  while true do
    local stop = text:find('[\\' .. quote .. ']', at)
    if not stop then return #text + 1 end
    if text:sub(stop, stop) == quote then return stop + 1 end
    at = stop + 2
  end
end

--- Where the comment at `start` ends and whether there is one, in C.
local function skip_c_comment(text, start)
  if text:find("^/%*", start) then
    local _, stop = text:find("*/", start + 2, true)
    return (stop or #text) + 1
  elseif text:find("^//", start) then
    return text:find("\n", start, true) or #text + 1
  end
end

local function skip_long_bracket(text, start)
  local equals = text:match("^%[(=*)%[", start)
  if not equals then return nil end
  local _, stop = text:find("]" .. equals .. "]", start, true)
  return (stop or #text) + 1
end

local function skip_lua_comment(text, start)
  if not text:find("^%-%-", start) then return nil end
  return skip_long_bracket(text, start + 2) or text:find("\n", start, true) or #text + 1
end

--- Text with comments blanked, and the contents of strings too unless they are to be kept.
local function strip(text, starts, skip_comment, skip_long, keeps_strings)
  local out, at = {}, 1
  while true do
    local start = text:find(starts, at)
    if not start then break end
    out[#out + 1] = text:sub(at, start - 1)
    local comment_end = skip_comment(text, start)
    local is_quote = text:find("^[\"']", start)
    local string_end = is_quote and skip_quoted(text, start) or skip_long and skip_long(text, start)
    if comment_end then
      out[#out + 1] = blank(text:sub(start, comment_end - 1))
      at = comment_end
    elseif string_end and not keeps_strings then
      local first, inside, last = text:sub(start, string_end - 1):match("^(.)(.*)(.)$")
      out[#out + 1] = (first or "") .. blank(inside or "") .. (last or "")
      at = string_end
    else
      at = string_end or start + 1
      out[#out + 1] = text:sub(start, at - 1)
    end
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function split_lines(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n?") do lines[#lines + 1] = line end
  if lines[#lines] == "" then lines[#lines] = nil end
  return lines
end

--- Lines of C code without preprocessor lines and their continuations.
local function without_directives(lines)
  local out, goes_on = {}, false
  for i, line in ipairs(lines) do
    local is_directive = goes_on or line:find("^%s*#") ~= nil
    goes_on = is_directive and line:find("\\%s*$") ~= nil
    out[i] = is_directive and "" or line
  end
  return out
end

--- A source file from its path in the project and its text.
function source.new(path, text)
  local self = setmetatable({ path = path, text = text, lines = split_lines(text) }, source)
  self.extension = path:match("%.(%w+)$") or ""
  self.is_c = self.extension == "c" or self.extension == "cc" or self.extension == "h"
  self.is_lua = self.extension == "lua"
  return self
end

--- A complaint about one line.
function source:at(line, format, ...)
  return ("%s:%d: %s"):format(self.path, line, format:format(...))
end

--- The lines without comments and without what stands in strings.
function source:code_lines()
  if not self._code_lines then
    local code = self.is_c and strip(self.text, "[\"'/]", skip_c_comment)
      or strip(self.text, "[%-%[\"']", skip_lua_comment, skip_long_bracket)
    self._code_lines = split_lines(code)
  end
  return self._code_lines
end

--- What a C file includes: { line, name, is_system }.
function source:includes()
  local found = {}
  local code = strip(self.text, "[\"'/]", skip_c_comment, nil, true)
  for i, line in ipairs(split_lines(code)) do
    local mark, name = line:match('^%s*#%s*include%s*([<"])([^>"]+)')
    if mark then found[#found + 1] = { line = i, name = name, is_system = mark == "<" } end
  end
  return found
end

local type_words = { struct = true, enum = true, union = true, class = true }

local function kind_of(item)
  local text, head = item.text, item.head
  if text:find "^typedef%f[%W]" or text:find "^using%f[%W]" then return "type" end
  if text:find "^_?[Ss]tatic_assert" then return "assertion" end
  if head:gsub("%b()", ""):find("=", 1, true) then return "variable" end
  if text:find("{", 1, true) then
    if head:find "%)$" then return "function" end
    return type_words[head:match "^%a+"] and text:find "}%s*;$" and "type" or "variable"
  end
  if type_words[text:match "^(%a+)%s+[%w_]+;$"] then return "type" end
  local name = head:match "([%w_]+)%s*%("
  if name and not head:find "^[^(]*%(%s*%*" then return "prototype" end
  return "variable"
end

local function finish_item(parts, first, last)
  local text = table.concat(parts, " "):gsub("__attribute__%s*%b()", ""):gsub("%s+", " ")
  text = text:gsub("^ ", ""):gsub(" $", "")
  local head = (text:match("^[^{;]*")):gsub("%s+$", ""):gsub("%s+noexcept$", "")
  local item = { first = first, last = last, text = text, head = head }
  item.kind = kind_of(item)
  item.name = head:match "([%w_]+)%s*%("
  return item
end

local function opens_or_closes_namespace(line)
  return line:find "^namespace.*{%s*$" or line:find '^extern%s*"%s*"%s*{%s*$' or line:find "^}%s*$"
end

--- The items at file scope of a C file: { kind, name, first, last, text, head }; kind is
--- "function", "prototype", "variable", "type" or "assertion"; only the first two have a name.
function source:items()
  local items, parts, first, depth = {}, nil, nil, 0
  for i, line in ipairs(without_directives(self:code_lines())) do
    local is_blank = line:find "^%s*$" ~= nil
    if not parts and not is_blank and not opens_or_closes_namespace(line) then
      parts, first = {}, i
    end
    if parts and not is_blank then
      parts[#parts + 1] = line
      for bracket in line:gmatch "[{}()]" do
        depth = depth + ((bracket == "{" or bracket == "(") and 1 or -1)
      end
      if depth == 0 and line:find "[;}]%s*$" then
        items[#items + 1] = finish_item(parts, first, i)
        parts = nil
      end
    end
  end
  return items
end

local function c_functions(file)
  local found = {}
  for _, item in ipairs(file:items()) do
    if item.kind == "function" then found[#found + 1] = item end
  end
  return found
end

local opens = { ["function"] = true, ["if"] = true, ["do"] = true, ["repeat"] = true }

local function lua_functions(file)
  local found, stack = {}, {}
  for i, line in ipairs(file:code_lines()) do
    for at, word in line:gmatch "()(%f[%w_][%a_][%w_]*)" do
      if opens[word] then
        stack[#stack + 1] = { word = word, first = i, before = line:sub(1, at - 1),
          name = line:match("^function%s+([%w_.:]+)", at) or "function" }
      elseif word == "end" or word == "until" then
        local block = table.remove(stack) or error(file:at(i, "'%s' closes nothing", word))
        block.last = i
        if block.word == "function" then found[#found + 1] = block end
      end
    end
  end
  return found
end

--- The functions of a C or Lua file: { name, first, last }; of Lua also `before`, what stands on
--- the line before the word "function".
function source:functions()
  if self.is_c then return c_functions(self) end
  return lua_functions(self)
end

function source.read(root, path)
  local file <close> = assert(io.open(root .. "/" .. path, "rb"))
  return source.new(path, file:read "a")
end

local function walk(root, path, extensions, found)
  for name in lfs.dir(root .. "/" .. path) do
    local entry = path .. "/" .. name
    local mode = name:sub(1, 1) ~= "." and lfs.symlinkattributes(root .. "/" .. entry, "mode")
    if mode == "directory" then
      walk(root, entry, extensions, found)
    elseif mode == "file" and extensions[name:match "%.(%w+)$" or ""] then
      found[#found + 1] = entry
    end
  end
end

--- All files below the directories that end so, in order; directories that do not exist have none.
---@param root string
---@param directories string[]
---@param extensions string[]
function source.tree(root, directories, extensions)
  local wanted, paths, files = {}, {}, {}
  for _, extension in ipairs(extensions) do wanted[extension] = true end
  for _, directory in ipairs(directories) do
    if lfs.attributes(root .. "/" .. directory, "mode") == "directory" then
      walk(root, directory, wanted, paths)
    end
  end
  table.sort(paths)
  for i, path in ipairs(paths) do files[i] = source.read(root, path) end
  return files
end

return source
