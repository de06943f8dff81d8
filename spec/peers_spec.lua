-- peers_spec.lua - Perilune takes nothing that nginx or Node refuses, but for what has a reason.
--
-- Runs spec/bench/peers.lua, which sends the rows of the RFC table to all three. Peers are
-- optional: with none of them installed there is nothing to compare.

local program = require "support.program"

local LIMIT_S = 60

local function has_command(name)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(name)) == true
end

describe("beside its peers", function()
  it("Perilune is never laxer", function()
    if os.getenv "SANITIZE" or os.getenv "STRESS" then
      pending "once is enough, and peers do not wait for a slow server"
      return
    end
    local has_peer = has_command "nginx" or has_command "node"
    if not has_peer or not has_command "lua5.4" then
      pending "neither nginx nor Node is installed, or no lua5.4 to run the script"
      return
    end
    local script = program.root() .. "/spec/bench/peers.lua"
    local pipe = assert(io.popen(("timeout -k 1 %d lua5.4 '%s' 2>&1"):format(LIMIT_S, script)))
    local output = pipe:read "a"
    assert.is_true(pipe:close() == true, "\n" .. output)
    assert.is_truthy(output:find "%d+ rows, 0 on which Perilune is laxer")
  end)
end)
