-- test_log_spec.lua - the log of a spec stands beneath its failure, and nowhere else.
--
-- Runs of their own, over an app that logs in handlers, in the pool and on a loop; what they write
-- to both outputs is read.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local tap = require "support.tap"

local APP = [[
local log = require "perilune.log"
local perilune = require "perilune"
local app = perilune.app { name = "logs", pools = { default = { threads = 1 } } }

app:get("/says/{word}", function(req)
  log.info("said " .. req.params.word)
  return 204
end)
app:get("/fails", function() error "out of paper" end)
app:get("/pool", perilune.blocking(function() log.info "said in the pool" return 204 end))
local on_loop = perilune.background("rings", function() log.info "said on a loop" end)
app:get("/loop", function() on_loop() return 204 end)
app:get("/many/{count:int}", function(req)
  for i = 1, req.params.count do log.info("line " .. i) end
  return 204
end)
app:get("/long", function() log.error(("ä"):rep(4000)) return 204 end)
app:get("/warns", function() io.popen("true"):close() return 204 end)
return app
]]

local SPECS = [[
local log = require "perilune.log"
local test = require "perilune.test"
local client
setup(function()
  client = test.client { stall_limit = 60 }
  client:get "/says/setup"
end)
teardown(function() client:close() end)

it("passes", function() client:get "/says/passed" end)
it("fails", function()
  log.info "said by the spec"
  client:get "/says/failed"
  client:get "/pool"
  client:get "/loop"
  assert.equal(200, client:get("/fails").status)
end)
it("is silent", function() assert.equal(1, 2) end)
it("says much", function()
  client:get "/fails"
  client:get "/many/100"
  log.warn "said last, of no request"
  assert.equal(1, 2)
end)
it("says long things", function()
  client:get "/long"
  error "by itself"
end)
it("says more than is kept", function()
  client:get "/many/9000"
  assert.equal(1, 2)
end)
it("warns", function() client:get "/warns" end)
describe("around:", function()
  before_each(function()
    client:get "/says/before"
    error "not today"
  end)
  it("is not run", function() end)
end)
]]

local directory

setup(function()
  directory = program.make_directory { ["app.lua"] = APP, ["spec/logs_spec.lua"] = SPECS }
end)
teardown(function() program.remove_directory(directory) end)

local function run(words, environment)
  return program.run({ "test", directory, table.unpack(words) }, environment)
end

local function contains(text, words)
  assert.is_truthy(text:find(words, 1, true), ("no %q in:\n%s"):format(words, text))
end

local function lacks(text, words)
  assert.is_falsy(text:find(words, 1, true), ("%q is in:\n%s"):format(words, text))
end

--- The lines of a log beneath a failure.
local function log_of(failure)
  local text = failure:match "# the log meanwhile:\n(.*)$" or ""
  local lines = {}
  for line in text:gmatch "#   ([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

describe("the log of a spec that fails", function()
  local result, failures

  setup(function()
    result = run { "-o", "TAP" }
    failures = tap.failures(result.out)
  end)

  it("is beneath the failure, from wherever it was written", function()
    local failure = failures.fails
    contains(failure, "logs_spec.lua:16: Expected objects to be equal.")
    for _, text in ipairs { "said by the spec", "said failed request=", "said in the pool request=",
      "said on a loop request=", 'app.lua:9: out of paper" handler=' } do
      contains(failure, text)
    end
    assert.matches("#           [^\n]*app.lua:9: in function", failure)
    lacks(failure, "said passed")
    lacks(failure, "said setup")
    lacks(failure, "further lines")
    assert.equal(1, result.code)
  end)

  it("is in the order in which it was written", function()
    local order = {}
    for _, line in ipairs(log_of(failures.fails)) do
      order[#order + 1] = line:match "said (failed)" or line:match "said (%l+ %l+)"
        or line:match "(out of paper)"
    end
    assert.same({ "by the", "failed", "in the", "on a", "out of paper" },
      { table.unpack(order, 1, 5) })
  end)

  it("is not there where there is none", function()
    contains(failures["is silent"], "Expected objects to be equal.")
    lacks(failures["is silent"], "the log meanwhile")
  end)

  it("has at most 20 lines, the errors of requests first", function()
    local lines = log_of(failures["says much"])
    assert.is_true(#lines <= 21, failures["says much"])
    contains(failures["says much"], "out of paper")
    contains(failures["says much"], "line 100 ")
    lacks(failures["says much"], "line 80 ")
    lacks(failures["says much"], "of no request")
    local shown = 0
    for _, line in ipairs(lines) do shown = shown + (line:find "^%d%d%d%d%-" and 1 or 0) end
    local left_out = tonumber(lines[#lines]:match "^%((%d+) further lines are left out; %-v ")
    assert.equal(102, left_out + shown)
  end)

  it("has at most 4 KiB, cut where a character begins", function()
    local failure = failures["says long things"]
    contains(failure, "by itself")
    local line = log_of(failure)[1]
    assert.is_true(#line > 3000 and #line <= 4096, #line)
    assert.is_truthy(utf8.len(line))
  end)

  it("forgets the oldest lines, and counts them", function()
    local lines = log_of(failures["says more than is kept"])
    contains(lines[#lines - 1], "line 9000 ")
    assert.equal(9000 - (#lines - 1), tonumber(lines[#lines]:match "^%((%d+) further lines"))
  end)

  it("is there for what is around a spec", function()
    contains(result.out, "not today")
    contains(result.out, "said before request=")
  end)

  it("is not in standard error, as what is around all of them", function()
    contains(result.err, "said setup")
    for _, text in ipairs { "said passed", "said failed", "out of paper", "line 1" } do
      lacks(result.err, text)
    end
  end)

  it("is apart from what is said of the process", function()
    contains(result.err, "io.popen holds the event loop")
  end)
end)

describe("the log of specs", function()
  it("goes to standard error with -v, and beneath failures", function()
    for _, word in ipairs { "-v", "--verbose" } do
      local result = run { word, "-o", "TAP" }
      for _, text in ipairs { "said setup", "said passed", "said failed", "out of paper",
        "line 9000" } do
        contains(result.err, text)
      end
      contains(result.out, "said failed")
      lacks(result.out, "said passed")
    end
  end)

  it("is in every output", function()
    for _, output in ipairs { "plainTerminal", "utfTerminal", "junit", "gtest" } do
      local result = run { "-o", output, "--filter", "^fails$" }
      contains(result.out, "the log meanwhile:")
      contains(result.out, "said in the pool request=")
    end
    contains(run({ "-o", "junit", "--filter", "^fails$" }).out, "app.lua:9: out of paper&quot;")
  end)

  it("has the lines of --log-level, in --log-format", function()
    local result = run({ "-o", "TAP", "--filter", "says much" },
      { "PERILUNE_LOG_LEVEL=error", "PERILUNE_LOG_FORMAT=json" })
    contains(result.out, '"level":"error","message":"handler failed"')
    lacks(result.out, "line 100")
    lacks(result.out, "further lines")
  end)
end)
