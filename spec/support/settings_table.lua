-- settings_table.lua - README.md's tables of settings and limits, from the text of `serve --help`.
--
-- spec/readme_spec.lua compares README.md with them, so that the two cannot differ; with
-- PERILUNE_WRITE_README=1 in the environment it writes the tables instead.

local settings_table = {}

local HELP_MARGIN = 32 -- of lua/perilune/cli/main.lua
local START = "<!-- %s: made by spec/support/settings_table.lua -->"
local STOP = "<!-- end of %s -->"

--- The lines of a help text, each with those that go on with it.
local function rows(help)
  return help:gsub("\n" .. (" "):rep(HELP_MARGIN) .. " *", "  "):gmatch "[^\n]+"
end

--- The rows of the settings.
---@param help string the text of `perilune serve --help`
function settings_table.make(help)
  local lines = { "| flag | default | what |", "|---|---|---|" }
  for line in rows(help) do
    local flag, rest = line:match("^ +(%-%-[%w-]+ %S+)%s+(.*)$")
    local what, default = (rest or ""):gsub("  +", " "):match("^(.-) %[default ([^%]]*)%]")
    if what then
      local escaped = flag:gsub("|", "\\|")
      lines[#lines + 1] = ("| `%s` | %s | %s |"):format(escaped, default, what)
    end
  end
  return table.concat(lines, "\n")
end

--- The rows of the limits that are no settings.
---@param help string the text of `perilune serve --help`
function settings_table.make_limits(help)
  local lines = { "| limit | what |", "|---|---|" }
  for line in rows(help) do
    local limit, what = line:match("^ +(%d[%d.,]* %a+)%s%s+(.*)$")
    if limit then
      lines[#lines + 1] = ("| %s | %s |"):format(limit, (what:gsub("  +", " ")))
    end
  end
  return table.concat(lines, "\n")
end

--- Where the text between the marks of a table begins and ends.
local function find(readme, name)
  local _, from = readme:find(START:format(name), 1, true)
  local to = readme:find(STOP:format(name), 1, true)
  return from, to
end

--- What README.md has between the marks of a table, "settings" or "limits".
function settings_table.read(readme, name)
  local from, to = find(readme, name)
  return readme:sub(from + 1, to - 1):match("^%s*(.-)%s*$")
end

--- README.md with the table between its marks.
function settings_table.replace(readme, name, made)
  local from, to = find(readme, name)
  return readme:sub(1, from) .. "\n" .. made .. "\n" .. readme:sub(to)
end

return settings_table
