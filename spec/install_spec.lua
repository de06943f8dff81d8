-- install_spec.lua - `cmake --install` gives a perilune that needs no source tree.
--
-- Installs the build under test into a directory of its own and works from there.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"

describe("an installed perilune", function()
  local prefix

  setup(function()
    prefix = program.make_directory {}
    local build = program.binary():match "^(.*)/perilune$"
    local command = { "cmake", "--install", build, "--prefix", prefix }
    assert.is_true(os.execute(program.quote(command) .. " >/dev/null"))
  end)

  teardown(function() os.execute("rm -rf " .. program.quote { prefix }) end)

  --- Runs the installed program in "/" and gives what it printed.
  local function run(...)
    local pipe = assert(io.popen(("cd / && %s/bin/perilune %s 2>&1"):format(prefix,
      program.quote { ... })))
    local output = pipe:read "a"
    return output, pipe:close()
  end

  it("says its version", function()
    local output, ok = run "--version"
    assert.is_true(ok)
    assert.is_truthy(output:find("^perilune %d"), output)
  end)

  it("serves and tests an app elsewhere", function()
    local app = program.make_directory {}
    local hello = program.root() .. "/apps/hello"
    os.execute(program.quote { "cp", "-r", hello .. "/.", app })
    local output, ok = run("test", app, "-o", "TAP")
    os.execute("rm -rf " .. program.quote { app })
    assert.is_true(ok, output)
    assert.is_truthy(output:find "\n[1-9]%d* passed, 0 failed", output)
  end)
end)
