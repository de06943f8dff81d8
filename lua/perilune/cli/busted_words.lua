-- busted_words.lua - what the words behind `perilune test DIR` mean to busted.
--
-- They pass through unread, but for what the command has to know: which of them are spec files or
-- directories, and the values of some options. Options are those of busted 2.1.

local busted_words = {}

--- What takes the next word for its value, unless it has one behind a "=".
local takes_value = {}
for _, name in ipairs { "-p", "--pattern", "--exclude-pattern", "-e", "-o", "--output", "-C",
  "--directory", "-f", "--config-file", "--coverage-config-file", "-t", "--tags", "--exclude-tags",
  "--filter", "--filter-out", "-m", "--lpath", "--cpath", "-r", "--run", "--repeat", "--seed",
  "--lang", "--loaders", "--helper", "--lua", "-Xoutput", "-Xhelper" } do
  takes_value[name] = true
end

--- Takes the words apart.
---@param words string[]
---@return table options by name as written: the last value, or true
---@return string[] roots files and directories of specs
function busted_words.parse(words)
  local options, roots = {}, {}
  local i = 1
  while i <= #words do
    local word = words[i]
    local name, value = word:match "^(%-%-[^=]+)=(.*)$"
    if word == "--" then
      table.move(words, i + 1, #words, #roots + 1, roots)
      break
    elseif name then
      options[name] = value
    elseif takes_value[word] then
      i = i + 1
      options[word] = words[i] or true
    elseif word:sub(1, 1) == "-" then
      options[word] = true
    else
      roots[#roots + 1] = word
    end
    i = i + 1
  end
  return options, roots
end

return busted_words
