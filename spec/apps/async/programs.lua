-- programs.lua - cases of perilune.process, by name: functions that raise when something is wrong.
--
-- process_spec.lua runs them in every place. They use what every system has: sh, cat, head, yes,
-- sleep, env. Whether a process has ended is read from /proc.

local assert = require "luassert"
local async = require "perilune.async"
local process = require "perilune.process"

local expect = require(((...):gsub("%w+$", "expect")))

local LONG, SHORT = expect.LONG, expect.SHORT
local fails_with, misuse, until_true = expect.fails_with, expect.misuse, expect.until_true
local run = process.run

local programs = {}

--- Nothing of it runs any more; who is not our child may wait for somebody else to reap it.
local function has_ended(pid)
  local file = io.open(("/proc/%d/stat"):format(pid))
  if not file then return true end
  local state = (file:read "a" or ""):match "^%d+ %(.*%) (%a)"
  file:close()
  return state == nil or state == "Z" or state == "X"
end

local function is_gone(pid) return io.open(("/proc/%d/stat"):format(pid)) == nil end

--- What a shell script writes to standard output.
local function shell(script, options)
  local command = { "sh", "-c", script, check = true }
  for name, value in pairs(options or {}) do command[name] = value end
  return run(command).stdout
end

-- --- results ------------------------------------------------------------------------------------

programs["run gives the exit code and both outputs"] = function()
  local result = run { "sh", "-c", "echo out; echo err >&2; exit 3" }
  assert.same({ code = 3, stdout = "out\n", stderr = "err\n" }, result)
  assert.same({ code = 0, stdout = "", stderr = "" }, run { "true" })
end

programs["run tells an exit by a signal apart"] = function()
  local result = run { "sh", "-c", "echo begun; kill -TERM $$" }
  assert.same({ signal = "SIGTERM", stdout = "begun\n", stderr = "" }, result)
  assert.equal("SIGSEGV", run({ "sh", "-c", "kill -SEGV $$" }).signal)
end

programs["arguments reach the program as they are"] = function()
  local list = { "", "a b", "$HOME", "'\"\\", "*", "line\nbreak", "\xff\xfe", "-n", 7, -2.5 }
  local result = run { "sh", "-c", 'for x in "$@"; do printf "[%s]" "$x"; done', "sh",
    table.unpack(list) }
  local expected = {}
  for i, value in ipairs(list) do expected[i] = ("[%s]"):format(value) end
  assert.equal(table.concat(expected), result.stdout)
end

programs["outputs have any bytes"] = function()
  local bytes = ("\0\1\xff\r\n"):rep(100000)
  assert.equal(bytes, run({ "cat", stdin = bytes }).stdout)
  assert.equal(bytes, run({ "sh", "-c", "cat >&2", stdin = bytes }).stderr)
end

-- --- input --------------------------------------------------------------------------------------

programs["standard input is empty unless given"] = function()
  assert.equal("", run({ "cat" }).stdout)
  assert.equal("", run({ "cat", stdin = "" }).stdout)
  assert.equal("text", run({ "cat", stdin = "text" }).stdout)
end

programs["a program need not read its input"] = function()
  local text = ("y"):rep(1000000)
  assert.equal(0, run({ "true", stdin = text }).code)
  assert.equal("yyy", run({ "head", "-c", 3, stdin = text }).stdout)
  assert.equal(0, run({ "true", stdin = function() return text end }).code)
end

programs["a function gives pieces, and may wait"] = function()
  local count = 0
  local result = run { "cat", stdin = function()
    count = count + 1
    if count == 2 then async.sleep(SHORT) end
    if count == 3 then return "" end
    if count < 6 then return ("piece %d\n"):format(count) end
  end }
  assert.equal("piece 1\npiece 2\npiece 4\npiece 5\n", result.stdout)
  assert.equal(6, count)
  assert.equal("", run({ "cat", stdin = function() end }).stdout)
end

programs["a function whose pieces nobody reads is not waited for"] = function()
  local path, calls, closed = os.tmpname(), 0, false
  os.remove(path)
  local result = run { "sh", "-c", "until [ -e $0 ]; do sleep 0.01; done; head -c 3", path,
    stdin = function()
      calls = calls + 1
      if calls == 1 then return "more than three" end
      local _ <close> = expect.closing(function() closed = true end)
      assert(io.open(path, "w")):close() -- the program goes on, to its end
      expect.sleep_long()
    end }
  os.remove(path)
  assert.same({ code = 0, stdout = "mor", stderr = "" }, result)
  assert.same({ 2, true }, { calls, closed })
  async.sleep(0)
end

programs["an error of the function ends the program"] = function()
  local problem = expect.table_error "mine"
  local pid
  local err = expect.error_of(run, { "sh", "-c", "read pid; cat", stdin = function()
    if pid then error(problem) end
    pid = true
    return "x\n"
  end })
  assert.equal(problem, err)
  misuse('the function of "stdin" gives strings, and nil at the end, not a table', function()
    local result = run { "cat", stdin = function() return {} end }
    return result
  end)
end

-- --- check and errors ---------------------------------------------------------------------------

programs["check raises what a program ends with"] = function()
  local err = fails_with("process", run,
    { "sh", "-c", "echo first >&2; echo second >&2; exit 7", check = true })
  assert.equal("sh: exit code 7: second", err.message)
  assert.equal(7, err.code)
  assert.is_nil(err.signal)
  assert.equal("first\nsecond\n", err.stderr)
  assert.same({ "sh", "-c", "echo first >&2; echo second >&2; exit 7" }, err.command)
  err = fails_with("process", run, { "sh", "-c", "kill -9 $$", check = true })
  assert.equal("sh: ended by SIGKILL", err.message)
  assert.equal("SIGKILL", err.signal)
  assert.is_nil(err.code)
  assert.equal("fine\n", shell "echo fine")
end

programs["an error has the end of a long standard error"] = function()
  local err = fails_with("process", run, { "sh", "-c", "cat >&2; exit 1", check = true,
    stdin = ("\u{E4}"):rep(100000) .. "!\n" })
  assert.is_true(#err.stderr < 5000)
  assert.is_truthy(utf8.len(err.stderr))
  assert.equal("\u{E4}!\n", err.stderr:sub(-4))
end

programs["a program that cannot be started says why"] = function()
  local err = fails_with("process", run, { "no-such-program", "x" })
  assert.equal('cannot run "no-such-program": there is no such program on PATH (ENOENT)',
    err.message)
  assert.equal("ENOENT", err.code)
  assert.same({ "no-such-program", "x" }, err.command)
  err = fails_with("process", run, { "./no-such-program" })
  assert.is_truthy(err.message:find('cannot run "./no-such-program": there is no', 1, true))
  err = fails_with("process", run, { "true", cwd = "/no/such" })
  assert.equal('cannot run "true": there is no directory /no/such (ENOENT)', err.message)
  err = fails_with("process", run, { "/dev/null" })
  assert.equal("EACCES", err.code)
end

-- --- limits, timeouts, cancellation -------------------------------------------------------------

programs["output is bounded"] = function()
  local err = fails_with("process", run, { "yes", max_output = 1000 })
  assert.equal("yes: killed, it wrote more than 1000 bytes to standard output (max_output)",
    err.message)
  assert.equal("stdout", err.limited)
  err = fails_with("process", run, { "sh", "-c", "yes >&2", max_output = "2k" })
  assert.equal("stderr", err.limited)
  assert.is_truthy(err.message:find("more than 2048 bytes to standard error", 1, true))
  assert.equal(1000, #run({ "head", "-c", 1000, "/dev/zero", max_output = 1000 }).stdout)
  fails_with("process", run, { "head", "-c", 1001, "/dev/zero", max_output = 1000 })
  assert.equal("", run({ "true", max_output = 0 }).stdout)
end

local SLEEPERS = "sleep 1000 & echo $$ $! >&2; exec >/dev/null; wait"

programs["a timeout kills the program and what it has started"] = function()
  local err = fails_with("timeout", run, { "sh", "-c", SLEEPERS, timeout = 0.2 })
  assert.equal("sh: killed, it has not ended within 0.2 s", err.message)
  assert.equal("SIGKILL", err.signal)
  local pid, sleeper = err.stderr:match "(%d+) (%d+)"
  if pid then
    assert.is_true(is_gone(pid))
    until_true(function() return has_ended(sleeper) end)
  end
  assert.equal(0, run({ "true", timeout = LONG }).code)
end

programs["a timeout ends the function that gives the input"] = function()
  local err = fails_with("timeout", run, { "cat", timeout = SHORT, stdin = expect.sleep_long })
  assert.same({ "cat" }, err.command)
  async.sleep(0)
end

--- Starts sleepers and ends their task with stop(task) once they run: nothing of them is left.
local function expect_none_left(stop)
  local path = os.tmpname()
  local task = async.spawn(run, { "sh", "-c", ("exec 2>%s; "):format(path) .. SLEEPERS })
  local pid, sleeper
  until_true(function()
    local file <close> = assert(io.open(path))
    pid, sleeper = (file:read "a"):match "(%d+) (%d+)\n"
    return pid
  end)
  os.remove(path)
  stop(task)
  until_true(function() return is_gone(pid) and has_ended(sleeper) end)
end

programs["a cancel kills the program and what it has started"] = function()
  expect_none_left(function(task)
    task:cancel "not needed"
    local err = fails_with("cancelled", task.wait, task)
    assert.equal("cancelled: not needed", err.message)
  end)
end

programs["async.timeout kills the program too"] = function()
  expect_none_left(function(task)
    fails_with("timeout", async.timeout, SHORT, async.gather, task)
    task:cancel()
  end)
end

programs["what a program leaves behind in its group ends with it"] = function()
  local pid = shell "sleep 1000 >/dev/null 2>&1 & echo $!"
  until_true(function() return has_ended(pid) end)
end

programs["a cancelled task starts nothing"] = function()
  local path = os.tmpname()
  os.remove(path)
  local task = async.spawn(function()
    pcall(expect.sleep_long)
    run { "sh", "-c", "echo > " .. path }
  end)
  async.checkpoint()
  task:cancel()
  fails_with("cancelled", task.wait, task)
  assert.is_nil(io.open(path))
end

-- --- surroundings -------------------------------------------------------------------------------

programs["variables are added, replaced, removed"] = function()
  local script = 'echo "$PERILUNE_A/$PERILUNE_B/${HOME-none}/${PATH:+path}"'
  local env = { PERILUNE_A = "a b", PERILUNE_B = 2, HOME = false }
  assert.equal("a b/2/none/path\n", shell(script, { env = env }))
  assert.equal("A=1\n", run({ "env", env = { A = 1 }, clear_env = true }).stdout)
  assert.equal("", run({ "env", clear_env = true }).stdout)
  assert.equal("/nowhere\n", run({ "/bin/sh", "-c", "echo $PATH",
    env = { PATH = "/nowhere" } }).stdout)
  fails_with("process", run, { "sh", "-c", "true", env = { PATH = "/nowhere" } })
end

programs["a program runs in the directory of the app, or in one relative to it"] = function()
  local dir = run({ "pwd" }).stdout:gsub("\n$", "")
  assert.is_truthy(dir:find "/spec")
  assert.equal("/\n", run({ "pwd", cwd = "/" }).stdout)
  assert.equal(dir:match "^(.*)/" .. "\n", run({ "pwd", cwd = ".." }).stdout)
end

programs["signals, descriptors and the terminal are not inherited"] = function()
  local file <close> = assert(io.open("/dev/null"))
  local status = shell "cat /proc/self/status"
  assert.equal(0, tonumber(status:match "SigBlk:%s*(%x+)", 16))
  assert.equal(0, tonumber(status:match "SigIgn:%s*(%x+)", 16))
  assert.equal("0\n1\n2\n", shell "cd /proc/$$/fd; for fd in *; do test ! -e $fd || echo $fd; done")
  assert.is_nil(run({ "sh", "-c", ": </dev/tty" }).stdout:match "%S")
  assert.equal("x\n", shell "echo x >/dev/stdout")
  file:close()
end

programs["many run at once"] = function()
  local names = {}
  for i = 1, 20 do names[i] = i end
  local results = async.map(names, function(i)
    return run({ "sh", "-c", "cat; echo $0", i, stdin = "in " }).stdout
  end, { limit = 10 })
  for i = 1, 20 do assert.equal(("in %d\n"):format(i), results[i]) end
end

programs["run works in coroutines of the app"] = function()
  local lines = coroutine.wrap(function()
    for i = 1, 3 do coroutine.yield(run({ "echo", i }).stdout) end
  end)
  assert.same({ "1\n", "2\n", "3\n" }, { lines(), lines(), lines() })
end

-- --- misuse -------------------------------------------------------------------------------------

programs["a wrong command is refused at its line"] = function()
  local wrong = {
    ['the program is missing: process.run { "name", arguments... }'] = {},
    ["the name of the program is empty"] = { "" },
    ["argument 2 of the command is a string or number, not a boolean"] = { "echo", true },
    ["argument 2 of the command is nil"] = { "echo", nil, "x" },
    ["the command has a gap: something is at 9, nothing at 2"] = { "echo", [9] = "x" },
    ["argument 2 of the command has a NUL"] = { "echo", "a\0b" },
    ['unknown option "stdout" (did you mean "stdin"?)'] = { "echo", stdout = true },
    ['option "stdin" is a string, or a function that gives pieces, not a number'] =
      { "cat", stdin = 1 },
    ['option "timeout" is a number of seconds above 0, not 0'] = { "cat", timeout = 0 },
    ['option "check" is true or false, not a string'] = { "cat", check = "yes" },
    ['option "cwd" is a path, not a number'] = { "cat", cwd = 1 },
    ['option "cwd" is a path, not empty and without NUL'] = { "cat", cwd = "a\0" },
    ['option "env" is a table, not a string'] = { "cat", env = "A=1" },
    ['option "env": "A=B" is no name of a variable'] = { "cat", env = { ["A=B"] = 1 } },
    ['option "env": "A" is a string, a number or false, not true'] = { "cat", env = { A = true } },
    ['option "env": "A" has a NUL'] = { "cat", env = { A = "\0" } },
    ['option "env" has names as keys, but one is a number'] = { "cat", env = { "A" } },
    ['option "max_output" is a number of bytes (65536 or "20m"), not 2x'] =
      { "cat", max_output = "2x" },
  }
  for message, command in pairs(wrong) do
    local err = misuse(message, function()
      local result = run(command)
      return result
    end)
    assert.is_truthy(err:find("programs.lua:%d+: "), err)
  end
  misuse('use a dot: process.run { "program", ... }', process.run, process, { "true" })
  misuse("table expected", process.run, "true")
  misuse("process.run cannot wait inside 'string.gsub'", string.gsub, "x", "x", function()
    run { "true" }
  end)
end

return programs
