-- fail.lua - how a command ends with one clear line.
--
-- fail(code, format, ...) raises an error that main.lua prints as `perilune: <line>` on standard
-- error before it gives `code` as the exit code. Whatever comes out of the formatting, it is one
-- line: of a longer text only the first line is kept.

local codes = {
  usage = 2, -- the command line itself is wrong
  failed = 1, -- everything else
}

local function first_line(text)
  return (text:match("^[^\n]*"):gsub(":$", ""))
end

---@param code "usage"|"failed"
---@param format string as for string.format
local function fail(code, format, ...)
  error({ kind = "command", exit_code = codes[code], message = first_line(format:format(...)) }, 0)
end

return fail
