-- settings_table.lua - the table of settings in README.md, made from the text of `serve --help`.
--
-- spec/readme_spec.lua compares README.md with it, so that the two cannot differ; with
-- PERILUNE_WRITE_README=1 in the environment it writes the table instead.

local settings_table = {}

local START = "<!-- settings: made by spec/support/settings_table.lua -->"
local HELP_MARGIN = 32 -- of lua/perilune/cli/main.lua
local STOP = "<!-- end of settings -->"

--- The rows of the table from the text of `perilune serve --help`.
function settings_table.make(help)
  local lines = { "| flag | default | what |", "|---|---|---|" }
  local text = help:gsub("\n" .. (" "):rep(HELP_MARGIN) .. " *", "  ")
  for line in text:gmatch("[^\n]+") do
    local flag, rest = line:match("^ +(%-%-[%w-]+ %S+)%s+(.*)$")
    local what, default = (rest or ""):gsub("  +", " "):match("^(.-) %[default ([^%]]*)%]")
    if what then
      local escaped = flag:gsub("|", "\\|")
      lines[#lines + 1] = ("| `%s` | %s | %s |"):format(escaped, default, what)
    end
  end
  return table.concat(lines, "\n")
end

--- What README.md has between the marks.
function settings_table.read(readme)
  local _, from = readme:find(START, 1, true)
  local to = readme:find(STOP, 1, true)
  return readme:sub(from + 1, to - 1):match("^%s*(.-)%s*$")
end

--- README.md with the table between the marks.
function settings_table.replace(readme, made)
  local _, from = readme:find(START, 1, true)
  local to = readme:find(STOP, 1, true)
  return readme:sub(1, from) .. "\n" .. made .. "\n" .. readme:sub(to)
end

return settings_table
