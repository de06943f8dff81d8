-- handles.lua - cases of fs.open and fs.tempfile, by name; as files.lua.
--
-- Reading, writing and seeking; several tasks with one file; what becomes of a file whose task is
-- cancelled.

local assert = require "luassert"
local async = require "perilune.async"
local fs = require "perilune.fs"

local prefix = (...):match "^(.-)%w+$"
local expect = require(prefix .. "expect")

local misuse, fails_with = expect.misuse, expect.fails_with

local cases = {}

--- A temporary file with a text in it, at its start; closed by who asked for it.
local function file_with(text)
  local file = fs.tempfile()
  file:write(text)
  file:seek("set", 0)
  return file
end

--- How often the process has a file open.
local function count_open(path)
  local count = 0
  for name in fs.each "/proc/self/fd" do
    local ok, link = pcall(fs.stat, "/proc/self/fd/" .. name, { follow = false })
    local target = ok and link.target or ""
    if target == path or target == path .. " (deleted)" then count = count + 1 end
  end
  return count
end

-- --- reading ------------------------------------------------------------------------------------

cases["read gives so many bytes, a line, or all"] = function()
  local file <close> = file_with "12345\nabc\n\nlast"
  assert.equal("12", file:read(2))
  assert.equal("345", file:read "line")
  assert.equal("abc", file:read "line")
  assert.equal("", file:read "line")
  assert.equal("la", file:read(2))
  assert.equal("st", file:read(100))
  assert.is_nil(file:read(1))
  assert.is_nil(file:read "line")
  assert.equal("", file:read "all")
  file:seek("set", 6)
  assert.equal("abc\n\nlast", file:read())
end

cases["read takes any bytes, of pieces larger than what is read ahead"] = function()
  local text = ("\0\n\r\255x"):rep(60000)
  local file <close> = file_with(text)
  assert.is_true(file:read "all" == text)
  file:seek("set", 0)
  local pieces = {}
  for i, size in ipairs { 1, 70000, 3, 131072, 1000000 } do pieces[i] = file:read(size) end
  assert.is_true(table.concat(pieces) == text)
end

cases["lines goes through a file without the ends of lines"] = function()
  local expected, found = {}, {}
  for i = 1, 3000 do expected[i] = ("line %d"):format(i):rep(i % 7) end
  local file <close> = file_with(table.concat(expected, "\n") .. "\n")
  for line in file:lines() do found[#found + 1] = line end
  assert.same(expected, found)
  file:seek("set", 0)
  file:write(("x"):rep(100000) .. "\n")
  file:seek("set", 0)
  assert.equal(100000, #file:read "line")
end

cases["chunks goes through a file in pieces"] = function()
  local file <close> = file_with(("x"):rep(25))
  local sizes = {}
  for chunk in file:chunks(10) do sizes[#sizes + 1] = #chunk end
  assert.same({ 10, 10, 5 }, sizes)
  file:seek("set", 0)
  local count = 0
  for chunk in file:chunks() do count = count + #chunk end
  assert.equal(25, count)
end

cases["read has a limit, which an option of open moves"] = function()
  local file <close> = file_with "12345"
  local other <close> = fs.open(file.path, "r", { max = 4 })
  local err = fails_with("fs", other.read, other, "all")
  assert.same({ "EFBIG", file.path }, { err.code, err.path })
  assert.equal("1234", other:read(4))
  misuse("a number of bytes from 1 to 4 expected, got 5", other.read, other, 5)
  assert.equal("5", other:read "all")
end

-- --- writing and places -------------------------------------------------------------------------

cases["write and seek work together"] = function()
  local file <close> = file_with "0123456789"
  assert.equal("01", file:read(2))
  assert.equal(file, file:write "ab")
  assert.equal("45", file:read(2))
  assert.equal(6, file:seek())
  assert.equal(4, file:seek("cur", -2))
  assert.equal("45", file:read(2))
  assert.equal(9, file:seek("end", -1))
  file:write("9x"):write "y"
  assert.equal(12, file:size())
  assert.equal(0, file:seek "set")
  assert.equal("01ab456789xy", file:read "all")
  misuse("-1 from there is not in a file", file.seek, file, "set", -1)
  misuse("-20 from there is not in a file", file.seek, file, "end", -20)
  assert.equal(20, file:seek("set", 20))
  file:write "z"
  assert.equal(21, file:size())
end

cases["truncate cuts a file here, or at a size"] = function()
  local file <close> = file_with "0123456789"
  file:read(4)
  file:truncate()
  assert.equal(4, file:size())
  file:truncate(2)
  assert.equal("01", fs.read(file.path))
  file:truncate(5)
  file:seek "set"
  assert.equal("01\0\0\0", file:read "all")
  file:sync()
  misuse("a size expected", file.truncate, file, -1)
end

cases["open has the modes of io.open, and x for a new file"] = function()
  local temporary <close> = fs.tempfile()
  local path = temporary.path
  local function with(mode, fn)
    local file <close> = fs.open(path, mode)
    return fn(file)
  end
  with("w", function(file) file:write "one" end)
  with("a", function(file)
    file:write " two"
    assert.equal(7, file:seek())
  end)
  with("a+", function(file)
    assert.equal("one two", file:read "all")
    file:seek "set"
    file:write " three"
  end)
  assert.equal("one two three", with("r", function(file) return file:read() end))
  with("r+", function(file) file:write "ONE" end)
  assert.equal("ONE two three", fs.read(path))
  with("w+", function(file)
    file:write "new"
    file:seek "set"
    assert.equal("new", file:read())
  end)
  local err = fails_with("fs", fs.open, path, "x")
  assert.equal("EEXIST", err.code)
  fs.remove(path)
  with("x+", function(file) file:write "made" end)
  assert.equal("made", fs.read(path))
  err = fails_with("fs", fs.open, path .. "/none")
  assert.same({ "ENOTDIR", path .. "/none" }, { err.code, err.path })
  local made <close> = fs.open(path .. ".made", "w", { mode = "600" })
  assert.equal("600", fs.stat(made.path).mode)
  fs.remove(made.path)
end

cases["a read sees what others have written meanwhile"] = function()
  local file <close> = file_with "one\n"
  assert.equal("one", file:read "line")
  assert.is_nil(file:read "line")
  fs.append(file.path, "two\n")
  assert.equal("two", file:read "line")
end

-- --- temporary files ----------------------------------------------------------------------------

cases["a temporary file is removed when it is closed"] = function()
  local path
  do
    local file <close> = fs.tempfile { suffix = ".txt" }
    path = file.path
    assert.match("/perilune%.%x+%.txt$", path)
    assert.equal("600", fs.stat(path).mode)
    file:write "x"
    assert.equal("x", fs.read(path))
  end
  assert.is_false(fs.exists(path))
  local file = fs.tempfile { dir = "/tmp" }
  assert.match("^/tmp/perilune%.", file.path)
  file:close()
  assert.is_false(fs.exists(file.path))
end

cases["a temporary file that was renamed stays"] = function()
  local path
  do
    local file <close> = fs.tempfile()
    path = file.path .. ".kept"
    file:write("x"):sync()
    fs.rename(file.path, path)
  end
  assert.equal("x", fs.read(path))
  fs.remove(path)
end

cases["a file that is forgotten is closed by the collector"] = function()
  local path = fs.tempfile().path
  expect.until_true(function()
    collectgarbage()
    return not fs.exists(path) and count_open(path) == 0
  end)
end

cases["a temporary file is removed whatever ends its task"] = function()
  local function use(file, wait)
    local used <close> = file
    used:write "x"
    wait()
  end
  local function expect_removed(file)
    expect.until_true(function()
      return not fs.exists(file.path) and count_open(file.path) == 0
    end)
  end
  local file = fs.tempfile()
  expect.error_of(use, file, function() error "broken" end)
  expect_removed(file)
  for _, wait in ipairs { expect.sleep_long, expect.compute_forever } do
    file = fs.tempfile()
    fails_with("timeout", async.timeout, expect.SHORT, use, file, wait)
    expect_removed(file)
  end
  file = fs.tempfile()
  local waits = false
  local task = async.spawn(use, file, function()
    waits = true
    expect.sleep_long()
  end)
  expect.until_true(function() return waits end)
  task:cancel()
  fails_with("cancelled", task.wait, task)
  expect_removed(file)
end

-- --- several tasks ------------------------------------------------------------------------------

cases["tasks that use one file wait for each other"] = function()
  local file <close> = fs.tempfile()
  local names = {}
  for i = 1, 20 do names[i] = ("%03d\n"):format(i):rep(100) end
  async.map(names, function(text) file:write(text) end)
  assert.equal(20 * 400, file:size())
  file:seek "set"
  local counts = {}
  async.map({ 1, 2, 3, 4 }, function()
    for line in file:lines() do counts[line] = (counts[line] or 0) + 1 end
  end)
  for i = 1, 20 do assert.equal(100, counts[("%03d"):format(i)]) end
end

cases["a read that is cancelled takes nothing, and the file goes on"] = function()
  local text = ("0123456789"):rep(50000)
  local file <close> = file_with(text)
  for _ = 1, 5 do
    local task = async.spawn(file.read, file, 400000)
    async.checkpoint()
    task:cancel()
    local ok, read = pcall(task.wait, task)
    if ok then
      assert.equal(400000, #read)
      file:seek("set", 0)
    end
    assert.equal(0, file:seek())
  end
  assert.is_true(file:read "all" == text)
end

cases["tasks in line are cancelled one by one"] = function()
  local file <close> = file_with(("x"):rep(1000000))
  local tasks = {}
  for i = 1, 10 do tasks[i] = async.spawn(file.read, file, 100000) end
  async.checkpoint()
  for i = 2, 10, 2 do tasks[i]:cancel() end
  local count = 0
  for i = 1, 10 do
    local ok, read = pcall(tasks[i].wait, tasks[i])
    if ok then count = count + #read end
    assert.is_true(ok or i % 2 == 0)
  end
  assert.equal(count, file:seek())
  assert.equal(1000000 - count, #file:read "all")
end

cases["a file that is closed is so for all who wait in line"] = function()
  local file = file_with(("x"):rep(1000000))
  local tasks = {}
  for i = 1, 3 do
    tasks[i] = async.spawn(function() return #file:read(300000) end)
  end
  local close = async.spawn(file.close, file)
  for i = 1, 3 do
    local ok, result = pcall(tasks[i].wait, tasks[i])
    assert.is_true(ok and result == 300000 or tostring(result):find "the file is closed" ~= nil,
      tostring(result))
  end
  close:wait()
  assert.is_false(fs.exists(file.path))
  assert.equal(0, count_open(file.path))
  misuse("file:read: the file is closed", file.read, file)
end

cases["close may be called again, also by a task that is cancelled"] = function()
  local file = fs.tempfile()
  local task = async.spawn(function()
    pcall(expect.sleep_long)
    file:close()
  end)
  async.checkpoint()
  task:cancel()
  pcall(task.wait, task)
  file:close()
  file:close()
  assert.match("^file: .*%(closed%)$", tostring(file))
  expect.until_true(function()
    return not fs.exists(file.path) and count_open(file.path) == 0
  end)
end

cases["a closer that cannot wait closes all the same"] = function()
  local path
  local co = coroutine.create(function()
    local file <close> = fs.tempfile()
    path = file.path
    coroutine.yield()
  end)
  coroutine.resume(co)
  assert.is_true(fs.exists(path))
  assert.is_true(coroutine.close(co))
  expect.until_true(function() return not fs.exists(path) and count_open(path) == 0 end)
end

-- --- misuse -------------------------------------------------------------------------------------

cases["misuse of a file is told at the caller's line"] = function()
  local file <close> = fs.tempfile()
  local writer <close> = fs.open(file.path, "w")
  local reader <close> = fs.open(file.path)
  misuse("use a colon (file:read)", file.read, "all")
  misuse("use a colon (file:close)", file.close)
  misuse('a number of bytes, "line" or "all" expected, got "a"', file.read, file, "a")
  misuse("a number of bytes from 1 to", file.read, file, 0)
  misuse("file:read: the file was opened for writing only", writer.read, writer)
  misuse("file:lines: the file was opened for writing only", writer.lines, writer)
  misuse("file:write: the file was opened for reading only", reader.write, reader, "x")
  misuse("file:truncate: the file was opened for reading only", reader.truncate, reader)
  misuse("string expected, got number", file.write, file, 1)
  misuse("invalid option 'middle'", file.seek, file, "middle")
  misuse("use a dot: fs.open(path, mode)", fs.open, fs, "x")
  misuse('"r", "w", "a" or "x" expected, with "+" for both directions, got "q"', fs.open, "x", "q")
  misuse('unknown option "suffx" (did you mean "suffix"?)', fs.tempfile, { suffx = "" })
  misuse('option "suffix" is the end of a name', fs.tempfile, { suffix = "/x" })
  misuse('option "dir" is a string, not 7', fs.tempfile, { dir = 7 })
  misuse('option "dir": a path is not empty', fs.tempfile, { dir = "" })
  assert.is_nil(file.none)
  assert.equal("file: " .. file.path, tostring(file))
  fails_with("fs", fs.tempfile, { dir = "/none" })
end

return cases
