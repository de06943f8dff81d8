-- limits.lua - the fixed limits as the last section of `serve --help`.
--
-- The table itself lives in src/base/limits.h. Rows look like those of the settings: a number with
-- its unit, and from the margin on what it is of, and what happens past it.

local native = require "perilune.native.server"

local MARGIN, COLUMNS = 32, 100 -- those of main.lua

local BYTES = { { 2 ^ 30, "GiB" }, { 2 ^ 20, "MiB" }, { 2 ^ 10, "KiB" } }

local limits = {}

--- "256 MiB", "1.5 seconds", "10,000 calls"
local function amount(number, unit)
  if unit == "ms" then
    return number == 1000 and "1 second" or ("%g seconds"):format(number / 1000)
  end
  for _, scale in ipairs(unit == "bytes" and BYTES or {}) do
    if number % scale[1] == 0 then return ("%d %s"):format(number // scale[1], scale[2]) end
  end
  local digits = tostring(number):reverse():gsub("(%d%d%d)", "%1,"):reverse():gsub("^,", "")
  return ("%s %s"):format(digits, unit)
end

--- The words in lines from the margin on, the first one behind `start`.
local function wrap(start, words)
  local lines = { start .. (" "):rep(MARGIN - #start - 1) }
  for word in words:gmatch "%S+" do
    if #lines[#lines] + 1 + #word > COLUMNS then lines[#lines + 1] = (" "):rep(MARGIN - 1) end
    lines[#lines] = lines[#lines] .. " " .. word
  end
  return table.concat(lines, "\n")
end

function limits.text()
  local lines = { "Limits that are no settings:" }
  for _, limit in ipairs(native.limits()) do
    lines[#lines + 1] = wrap("   " .. amount(limit.number, limit.unit), limit.what)
  end
  return table.concat(lines, "\n")
end

return limits
