-- tap.lua - what `perilune test -o TAP` has written, taken apart.
--
-- For specs of `perilune test` itself, which run others of their own and read what is said of them.

local tap = {}

--- All that is said of each failure, by the name of its spec.
---@param out string
---@return table<string, string>
function tap.failures(out)
  local found, name = {}, nil
  for line in (out .. "\n"):gmatch "(.-)\n" do
    local failed = line:match "^not ok %d+ %- (.*)$"
    if failed or line:find "^ok " then name = failed end
    if name then found[name] = (found[name] or "") .. line .. "\n" end
  end
  return found
end

return tap
