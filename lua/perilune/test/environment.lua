-- test/environment.lua - variables of the environment that open test clients have set.
--
-- They are the process's. Where several clients have set one, the last of those that are open
-- counts; when all are closed it is what it was.

local native = require "perilune.native.service"
local runner = require "perilune.runner"

local environment = {}

--- By name: what it was (false: not there), and { client=, value= } for each client, in order.
local changed = runner.changed_variables

local function apply(name)
  local variable = changed[name]
  local last = variable.layers[#variable.layers]
  local value = variable.before
  if last then value = last.value else changed[name] = nil end
  native.set_variable(name, value or nil)
end

---@param client table
---@param env table|nil name to value, false: the variable is to be missing
function environment.set(client, env)
  for name, value in pairs(env or {}) do
    changed[name] = changed[name] or { before = os.getenv(name) or false, layers = {} }
    table.insert(changed[name].layers, { client = client, value = value })
    apply(name)
  end
end

--- Puts back what a client has set.
function environment.unset(client)
  for name in pairs(client.chosen.env or {}) do
    local layers = changed[name].layers
    for i = #layers, 1, -1 do
      if layers[i].client == client then table.remove(layers, i) end
    end
    apply(name)
  end
end

return environment
