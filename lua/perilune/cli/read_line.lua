-- read_line.lua - reads a line of standard input, on a thread of the pool.
--
-- A module of its own: it is found there under its name.

return function()
  return io.read "L"
end
