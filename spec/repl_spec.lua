-- repl_spec.lua - `perilune repl`: lines in, values and errors out, through a pipe.
--
-- Without a terminal there is no prompt, so the output is what the lines give and nothing else.

local program = require "support.program"

local APP = [[
  local perilune = require "perilune"
  local app = perilune.app { name = "tried" }
  local count = 0
  local double = perilune.blocking(function(n) return 2 * n end)
  app:on_start(function() io.stderr:write "started\n" end)
  app:on_stop(function() io.stderr:write "stopped\n" end)
  app:get("/", function() count = count + 1 return { count = count, double = double(count) } end)
  return app]]

--- What the lines give: output, errors, exit code.
local function try(lines, app, words)
  local directory = program.make_directory { ["app.lua"] = app or APP, ["lines"] = lines }
  local command = { program.binary(), "repl", directory, table.unpack(words or {}) }
  local pipe = assert(io.popen(("timeout -k 1 60 %s <%s/lines 2>%s/errors"):format(
    program.quote(command), directory, directory)))
  local out = pipe:read "a"
  local _, _, code = pipe:close()
  local err = program.read(directory .. "/errors")
  program.remove_directory(directory)
  return out, err, code
end

local function contains(text, words)
  assert.is_truthy(text:find(words, 1, true), ("no %q in:\n%s"):format(words, text))
end

describe("perilune repl", function()
  it("prints what expressions give", function()
    local out, err, code = try '1 + 1\n"a\\nb", nil\n\n-- nothing\nx = 5\nx * 2\napp.name\n'
    assert.equal('2\n"a\\nb"\tnil\n10\n"tried"\n', out)
    assert.equal("started\nstopped\n", err)
    assert.equal(0, code)
  end)

  it("shows tables in a stable order, cut where they repeat", function()
    local out = try 't = { 3, b = { 1 }, a = "x", ["c d"] = true }\nt\nt.t = t\nt\n{}\n'
    assert.equal('{ 3, a = "x", b = { 1 }, ["c d"] = true }\n'
      .. '{ 3, a = "x", b = { 1 }, ["c d"] = true, t = { ... } }\n{}\n', out)
  end)

  it("waits, and has a client of the running app", function()
    local out, err = try [[
client:get("/"):json()
select("#", async.gather(function() async.sleep(0.01) return 1 end, function() return 2 end))
client:get("/"):json().double
client:get("/none").status
]]
    assert.equal("{ count = 1, double = 2 }\n2\n4\n404\n", out, err)
  end)

  it("reads on where a line is the beginning of something", function()
    local out = try "for i = 1, 2 do\n  print(i)\nend\nfunction f()\n  return 7\nend\nf()\n"
    assert.equal("1\n2\n7\n", out)
  end)

  it("goes on after errors, with a traceback", function()
    local out, err, code = try [[
local function deep() error "boom" end deep()
error { code = 7 }
= 1
1 +
2
"the end"
]]
    assert.equal('3\n"the end"\n', out)
    contains(err, "prompt:1: boom\nstack traceback:")
    contains(err, "prompt:1: in local 'deep'")
    contains(err, "{ code = 7 }")
    contains(err, "prompt:1: unexpected symbol near '='")
    assert.equal(0, code)
  end)

  it("says what is wrong with an unfinished end", function()
    local out, err, code = try "1\nfor i = 1, 2 do\n"
    assert.equal("1\n", out)
    contains(err, "expected")
    contains(err, "stopped\n")
    assert.equal(0, code)
  end)

  it("fails where the app does not load", function()
    local out, err, code = try("1\n", "return 7")
    assert.equal("", out)
    contains(err, "app.lua returns a number, not an app made by perilune.app")
    assert.equal(1, code)
    assert.equal(2, select(3, try("", APP, { "--port", "1" })))
  end)
end)
