-- lines.lua - the lines of a body that comes in pieces, without holding more than one of them.
--
-- A line that grows too long ends the request with 413: a body of any length needs little memory.
-- Lines end with LF; the last one need not.

local perilune = require "perilune"

local LINE_BYTES_MAX = 64 * 1024

--- Iterates over the lines of a request's body; the last needs no line end.
---@usage for line in read_lines(req) do ... end
return function(req)
  local rest = ""
  return coroutine.wrap(function()
    for chunk in req:chunks() do
      rest = rest .. chunk
      local from, at = 1, rest:find("\n", 1, true)
      while at do
        coroutine.yield(rest:sub(from, at - 1))
        from, at = at + 1, rest:find("\n", at + 1, true)
      end
      rest = rest:sub(from)
      if #rest > LINE_BYTES_MAX then perilune.abort(413, "a line is too long") end
    end
    if rest ~= "" then coroutine.yield(rest) end
  end)
end
