-- test_main.lua - runs busted inside a fiber, so specs may wait.
--
-- Arguments: dir (absolute) and the words for busted. The last line of the output is
-- `N passed, N failed`, with `, N skipped` where there are any.

local busted_words = require "perilune.cli.busted_words"
local check_native = require "perilune.native.checks"
local checks = require "perilune.test.checks"
local coverage = require "perilune.test.coverage"
local deadlock = require "perilune.native.deadlock"
local lfs = require "lfs"
local native = require "perilune.native.app"
local runner = require "perilune.runner"
local spec_log = require "perilune.test.spec_log"

local function spec_root(dir)
  return lfs.attributes(dir .. "/app.lua", "mode") == "file" and dir .. "/spec" or dir
end

--- What is ended, alone, when every task waits for another one.
local guarded = {}
for _, name in ipairs { "it", "setup", "teardown", "before_each", "after_each", "finally",
  "lazy_setup", "lazy_teardown", "strict_setup", "strict_teardown" } do
  guarded[name] = true
end

--- Keeps the log of a spec with what is around it, and puts it into the message when one fails.
local function show_logs(busted, passes_on)
  local safe, publish = busted.safe, busted.publish
  function busted.safe(descriptor, run, element)
    local is_around_spec = descriptor == "it" and element.descriptor == "it" and run ~= element.run
    if not is_around_spec then return safe(descriptor, run, element) end
    return spec_log.keep(passes_on, safe, descriptor, run, element)
  end
  function busted.publish(channel, element, parent, message, ...)
    if channel[1] == "failure" or channel[1] == "error" then
      message = spec_log.add_to(message)
    end
    return publish(channel, element, parent, message, ...)
  end
end

--- Runs a spec, and looks at what it has left.
local function run_checked(element, run, ...)
  checks.begin()
  local results = table.pack(pcall(deadlock.guard, run, ...))
  checks.finish(results[1], ("%s:%d"):format(element.trace.short_src, element.trace.currentline))
  if not results[1] then error(results[2], 0) end
  return table.unpack(results, 2, results.n)
end

local function guard_functions(busted)
  local safe = busted.safe
  function busted.safe(descriptor, run, element)
    if not guarded[descriptor] then return safe(descriptor, run, element) end
    -- busted also calls all of a spec, with its before_each and after_each, as an `it`
    local is_spec = descriptor == "it" and run == element.run
    if is_spec then
      return safe(descriptor, function(...) return run_checked(element, run, ...) end, element)
    end
    return safe(descriptor, function(...) return deadlock.guard(run, ...) end, element)
  end
end

--- What the functions of specs have for their globals: where they are sent to, it is the globals.
local function environment_of(busted)
  local function probe() return _ENV end
  busted.wrap(probe)
  return probe()
end

--- An output of busted that fails has written nothing.
local function tell_broken_output(message)
  io.stderr:write(("perilune: busted's output has failed: %s\n"):format(tostring(message)))
end

--- With a seed the order of specs, and that in which tasks are woken, is one that it gives. Each
--- run of --repeat has the next seed.
local function follow_seed(busted, seed, counts)
  local now = seed
  check_native.shuffle(seed)
  busted.subscribe({ "suite", "reset" }, function(_, run)
    now = seed + run - 1
    busted.randomseed = now
    check_native.shuffle(now)
    return nil, true
  end)
  local function note()
    local seeds = counts.seeds
    if seeds[#seeds] ~= now then seeds[#seeds + 1] = now end
    return nil, true
  end
  busted.subscribe({ "failure" }, note)
  busted.subscribe({ "error" }, note)
end

--- Counts the results of the instance of busted that its runner makes.
local function count_results(seed, shows_log)
  local counts = { success = 0, failure = 0, error = 0, pending = 0, seeds = {} }
  local core = require "busted.core"
  package.loaded["busted.core"] = function(...)
    local busted = core(...)
    guard_functions(busted)
    show_logs(busted, shows_log)
    native.environment(environment_of(busted))
    if seed then follow_seed(busted, seed, counts) end
    busted.subscribe({ "test", "end" }, function(_, _, status)
      counts[status] = (counts[status] or 0) + 1
      return nil, true
    end)
    busted.subscribe({ "error" }, function(element, _, message)
      if element.descriptor == "suite" then tell_broken_output(message) end
      if element.descriptor ~= "it" then counts.error = counts.error + 1 end
      return nil, true
    end)
    return busted
  end
  return counts
end

--- The seed; with one busted shuffles, too.
local function read_seed(words, options)
  local seed = math.tointeger(tonumber(options["--seed"]))
  if seed then table.insert(words, 1, "--shuffle") end
  return seed
end

--- Whether nothing is run: busted only tells something.
local function only_tells(options)
  return options["--list"] or options["-l"] or options["--version"] or options["--help"]
    or options["-h"]
end

--- Where the counts go: not behind a document that is on standard output.
local function counts_file(options)
  local output = options["-o"] or options["--output"]
  local is_document = (output == "junit" or output == "json") and not options["-Xoutput"]
  return is_document and io.stderr or io.stdout
end

local function print_counts(counts, file)
  local failed = counts.failure + counts.error
  for _, seed in ipairs(counts.seeds) do
    file:write(("the same order again: --seed %d\n"):format(seed))
  end
  local line = ("%d passed, %d failed"):format(counts.success, failed)
  if counts.pending > 0 then line = ("%s, %d skipped"):format(line, counts.pending) end
  io.stdout:flush()
  file:write(line, "\n")
  file:flush()
  return failed == 0 and counts.success > 0
end

local EXIT_USAGE = 2

--- busted ends by os.exit: here that ends the run instead. Gives whether all is right, the counts,
--- and the exit code where the run could not begin.
local function run_busted(words, seed, shows_log)
  local exit_code, refused
  local ending = {}
  require "busted.compatibility".exit = function(code)
    exit_code = code
    error(ending, 0)
  end
  --- Stands in for what busted starts luacov with.
  local function cover(config)
    local ok, problem = pcall(coverage.begin, config)
    if ok then return true end
    io.stderr:write(("perilune: --coverage: %s\n"):format(tostring(problem):match "[^\n]*"))
    refused = EXIT_USAGE
    error(ending, 0)
  end
  package.loaded["busted.modules.luacov"] = function() return cover end
  _G.arg = words
  local counts = count_results(seed, shows_log)
  local ok, err = pcall(require "busted.runner", { standalone = false })
  if not ok and err ~= ending then error(err, 0) end
  return exit_code == nil or exit_code == 0 or exit_code == true, counts, refused
end

---@param arguments table dir, arguments
---@return integer exit_code
local function main(arguments)
  runner.dir = arguments.dir
  runner.is_app = lfs.attributes(arguments.dir .. "/app.lua", "mode") == "file"
  checks.watch_files()
  local words = { [0] = "perilune test", table.unpack(arguments.arguments) }
  local options, roots = busted_words.parse(words)
  if #roots == 0 then table.insert(words, 1, spec_root(arguments.dir)) end
  package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(arguments.dir, arguments.dir, package.path)
  local shows_log = options["-v"] or options["--verbose"]
  local ok, counts, refused = run_busted(words, read_seed(words, options), shows_log)
  if refused then return refused end
  if only_tells(options) then return ok and 0 or 1 end
  return print_counts(counts, counts_file(options)) and ok and 0 or 1
end

return main
