-- files.lua - cases of perilune.fs on whole files and directories, by name; as waits.lua.
--
-- Each works in a directory of its own below /tmp, which is removed with the case. What needs a
-- server, or other users' files, is in spec/lua/fs_spec.lua.

local assert = require "luassert"
local async = require "perilune.async"
local fs = require "perilune.fs"
local json = require "perilune.json"

local prefix = (...):match "^(.-)%w+$"
local expect = require(prefix .. "expect")

local directory, misuse, fails_with = expect.directory, expect.misuse, expect.fails_with

local cases = {}

--- The error of an operation on files, which has that code and names that path.
local function fails(code, path, fn, ...)
  local err = fails_with("fs", fn, ...)
  assert.equal(code, err.code)
  assert.equal(path, err.path)
  assert.is_truthy(tostring(err):find(path, 1, true))
  return err
end

-- --- content ------------------------------------------------------------------------------------

cases["any bytes come back as they were written"] = function()
  local at <close> = directory()
  local path = at[1] .. "/bytes"
  local bytes = {}
  for i = 0, 255 do bytes[i + 1] = string.char(i) end
  for _, text in ipairs { "", "x", "a\0b\r\n", table.concat(bytes):rep(5000) } do
    fs.write(path, text)
    assert.is_true(fs.read(path) == text)
    fs.write(path, text, { atomic = false, sync = true })
    assert.is_true(fs.read(path) == text)
  end
end

cases["write replaces a file in one step and leaves nothing beside it"] = function()
  local at <close> = directory()
  local path = at[1] .. "/file"
  fs.write(path, "old")
  local before = fs.stat(path).inode
  fs.write(path, "new", { sync = true })
  assert.equal("new", fs.read(path))
  assert.not_equal(before, fs.stat(path).inode)
  fs.write(path, "in place", { atomic = false })
  assert.same({ "file" }, fs.list(at[1]))
  before = fs.stat(path).inode
  fs.write(path, "in", { atomic = false })
  assert.equal("in", fs.read(path))
  assert.equal(before, fs.stat(path).inode)
end

cases["write keeps the mode of what it replaces, unless told another"] = function()
  local at <close> = directory()
  local path = at[1] .. "/file"
  fs.write(path, "x", { mode = "600" })
  assert.equal("600", fs.stat(path).mode)
  fs.write(path, "y")
  assert.equal("600", fs.stat(path).mode)
  fs.write(path, "z", { mode = "0400" })
  assert.equal("400", fs.stat(path).mode)
end

cases["write follows a link, and replaces nothing that is no plain file"] = function()
  local at <close> = directory()
  fs.write(at[1] .. "/file", "old")
  os.execute(("ln -s file '%s/link'; ln -s none '%s/dangling'"):format(at[1], at[1]))
  fs.write(at[1] .. "/link", "new")
  fs.write(at[1] .. "/dangling", "made")
  assert.equal("new", fs.read(at[1] .. "/file"))
  assert.equal("made", fs.read(at[1] .. "/none"))
  assert.same({ "dangling", "file", "link", "none" }, fs.list(at[1]))
  assert.equal("none", fs.stat(at[1] .. "/dangling", { follow = false }).target)
  fs.write("/dev/null", "x")
  assert.equal("other", fs.stat("/dev/null").type)
end

cases["append adds to the end, and makes the file"] = function()
  local at <close> = directory()
  local path = at[1] .. "/log"
  fs.append(path, "one ", { mode = "640" })
  fs.append(path, "two", { sync = true })
  assert.equal("one two", fs.read(path))
  assert.equal("640", fs.stat(path).mode)
  async.gather(table.unpack(async.map({ 1, 2, 3, 4, 5 }, function(i)
    return { fs.append, path, (" %d"):format(i):rep(10) }
  end), 1, 5))
  assert.equal(#"one two" + 5 * 10 * 2, #fs.read(path))
end

cases["read has a limit, which an option moves"] = function()
  local at <close> = directory()
  local path = at[1] .. "/file"
  fs.write(path, ("x"):rep(2048))
  assert.equal(2048, #fs.read(path, { max = 2048 }))
  assert.equal(2048, #fs.read(path, { max = "2k" }))
  local err = fails("EFBIG", path, fs.read, path, { max = 2047 })
  assert.match('the file has more than 2047 bytes %(option "max"%)', tostring(err))
  fails("EFBIG", "/dev/zero", fs.read, "/dev/zero", { max = "1m" })
  assert.equal("", fs.read("/dev/null", { max = 0 }))
end

cases["read gives files that say nothing of their size"] = function()
  assert.is_truthy(fs.read("/proc/self/status"):find("VmSize", 1, true))
  assert.equal(0, fs.stat("/proc/self/status").size)
end

cases["copy takes content and mode, and replaces"] = function()
  local at <close> = directory()
  local from, to = at[1] .. "/from", at[1] .. "/to"
  local text = ("0123456789abcdef"):rep(100000)
  fs.write(from, text, { mode = "604" })
  fs.write(to, "old")
  fs.copy(from, to)
  assert.is_true(fs.read(to) == text)
  assert.equal("604", fs.stat(to).mode)
  assert.is_true(fs.read(from) == text)
  fs.copy("/proc/self/status", to)
  assert.is_truthy(fs.read(to):find("VmSize", 1, true))
  assert.same({ "from", "to" }, fs.list(at[1]))
end

-- --- names --------------------------------------------------------------------------------------

cases["stat tells what there is"] = function()
  local at <close> = directory()
  local path = at[1] .. "/file"
  local before = os.time()
  fs.write(path, "12345")
  local stat = fs.stat(path)
  assert.equal("file", stat.type)
  assert.equal(5, stat.size)
  assert.equal("float", math.type(stat.mtime))
  assert.is_true(stat.mtime > before - 2 and stat.mtime < before + 600)
  assert.equal("directory", fs.stat(at[1]).type)
  os.execute(("ln -s file '%s/link'"):format(at[1]))
  assert.equal("file", fs.stat(at[1] .. "/link").type)
  local link = fs.stat(at[1] .. "/link", { follow = false })
  assert.same({ "link", "file" }, { link.type, link.target })
end

cases["exists is the one that does not fail for what is missing"] = function()
  local at <close> = directory()
  fs.write(at[1] .. "/file", "")
  os.execute(("ln -s none '%s/dangling'"):format(at[1]))
  assert.is_true(fs.exists(at[1]))
  assert.is_true(fs.exists(at[1] .. "/file"))
  assert.is_false(fs.exists(at[1] .. "/none"))
  assert.is_false(fs.exists(at[1] .. "/file/none"))
  assert.is_false(fs.exists(at[1] .. "/dangling"))
  fails("ENAMETOOLONG", ("x"):rep(300), fs.exists, ("x"):rep(300))
end

cases["rename moves and replaces"] = function()
  local at <close> = directory()
  fs.write(at[1] .. "/a", "a")
  fs.write(at[1] .. "/b", "b")
  fs.rename(at[1] .. "/a", at[1] .. "/b")
  assert.same({ "b" }, fs.list(at[1]))
  assert.equal("a", fs.read(at[1] .. "/b"))
  local err = fails("ENOENT", at[1] .. "/a", fs.rename, at[1] .. "/a", at[1] .. "/c")
  assert.equal(at[1] .. "/c", err.to)
  assert.equal(("no such file or directory: %s/a -> %s/c"):format(at[1], at[1]), tostring(err))
end

cases["mkdir makes one directory, or all that are missing"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/a", { mode = "700" })
  assert.equal("700", fs.stat(at[1] .. "/a").mode)
  fails("EEXIST", at[1] .. "/a", fs.mkdir, at[1] .. "/a")
  fails("ENOENT", at[1] .. "/b/c", fs.mkdir, at[1] .. "/b/c")
  for _ = 1, 2 do fs.mkdir(at[1] .. "/a//b/c/", { parents = true }) end
  assert.same({ "a", "a/b", "a/b/c" }, fs.list(at[1], { recursive = true }))
  fs.write(at[1] .. "/file", "")
  fails("EEXIST", at[1] .. "/file", fs.mkdir, at[1] .. "/file", { parents = true })
  fails("ENOTDIR", at[1] .. "/file/x", fs.mkdir, at[1] .. "/file/x", { parents = true })
end

--- Makes a tree of five files and three directories.
local function make_tree(path)
  fs.mkdir(path .. "/b/deep", { parents = true })
  fs.mkdir(path .. "/empty")
  for _, name in ipairs { "a", "c", "b/1", "b/2", "b/deep/x" } do
    fs.write(path .. "/" .. name, "")
  end
end

cases["list gives sorted names, an array even when empty"] = function()
  local at <close> = directory()
  assert.equal("[]", json.encode(fs.list(at[1])))
  make_tree(at[1])
  assert.equal('["a","b","c","empty"]', json.encode(fs.list(at[1])))
  assert.same({ "a", "b", "b/1", "b/2", "b/deep", "b/deep/x", "c", "empty" },
    fs.list(at[1], { recursive = true }))
  assert.same({ "b", "b/deep", "empty" }, fs.list(at[1], { recursive = true, type = "directory" }))
  assert.same({ "a", "c" }, fs.list(at[1], { type = "file" }))
  assert.same({}, fs.list(at[1], { type = "link" }))
  fails("ENOTDIR", at[1] .. "/a", fs.list, at[1] .. "/a")
  fails("ENOENT", at[1] .. "/none", fs.list, at[1] .. "/none")
end

cases["list names links and does not follow them"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/sub")
  os.execute(("ln -s .. '%s/sub/up'"):format(at[1]))
  assert.same({ "sub", "sub/up" }, fs.list(at[1], { recursive = true }))
  assert.same({ "sub/up" }, fs.list(at[1], { recursive = true, type = "link" }))
end

cases["each goes through a directory of any size"] = function()
  local at <close> = directory()
  for i = 1, 300 do fs.write(("%s/%d"):format(at[1], i), "", { atomic = false }) end
  fs.mkdir(at[1] .. "/sub")
  fs.write(at[1] .. "/sub/file", "")
  local seen, count = {}, 0
  for name, type in fs.each(at[1], { recursive = true }) do
    seen[name] = type
    count = count + 1
  end
  assert.equal(302, count)
  assert.same({ "file", "file", "directory", "file" },
    { seen["1"], seen["300"], seen.sub, seen["sub/file"] })
  count = 0
  for _ in fs.each(at[1], { type = "directory" }) do count = count + 1 end
  assert.equal(1, count)
end

cases["each raises where its loop begins, and ends once"] = function()
  local at <close> = directory()
  fails("ENOENT", at[1] .. "/none", function()
    for _ in fs.each(at[1] .. "/none") do error "no name" end
  end)
  local iterator = fs.each(at[1])
  assert.is_nil(iterator())
  assert.is_nil(iterator())
  misuse("is called by a loop", getmetatable(iterator).__call, {})
end

cases["remove takes files, links and empty directories"] = function()
  local at <close> = directory()
  make_tree(at[1])
  os.execute(("ln -s b '%s/link'"):format(at[1]))
  for _, name in ipairs { "a", "link", "empty" } do fs.remove(at[1] .. "/" .. name) end
  assert.same({ "b", "c" }, fs.list(at[1]))
  fails("ENOTEMPTY", at[1] .. "/b", fs.remove, at[1] .. "/b")
  fails("ENOENT", at[1] .. "/a", fs.remove, at[1] .. "/a")
  fs.remove(at[1] .. "/a", { missing_ok = true })
  fs.remove(at[1] .. "/c/below", { missing_ok = true })
end

cases["remove of all that is in a directory follows no link out of it"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/kept")
  fs.write(at[1] .. "/kept/file", "")
  fs.mkdir(at[1] .. "/tree")
  make_tree(at[1] .. "/tree")
  os.execute(("ln -s ../kept '%s/tree/link'; ln -s ../../kept '%s/tree/b/link'")
    :format(at[1], at[1]))
  fs.remove(at[1] .. "/tree", { recursive = true })
  assert.same({ "kept", "kept/file" }, fs.list(at[1], { recursive = true }))
  os.execute(("ln -s kept '%s/link'"):format(at[1]))
  fs.remove(at[1] .. "/link", { recursive = true })
  assert.same({ "kept", "kept/file" }, fs.list(at[1], { recursive = true }))
  fs.remove(at[1] .. "/none", { recursive = true, missing_ok = true })
  fails("ENOENT", at[1] .. "/none", fs.remove, at[1] .. "/none", { recursive = true })
end

-- --- errors, cancellation, misuse ---------------------------------------------------------------

cases["errors have the kind, the code and the path as it was given"] = function()
  local at <close> = directory()
  local none, file = at[1] .. "/none", at[1] .. "/file"
  fs.write(file, "x")
  local err = fails("ENOENT", none, fs.read, none)
  assert.equal("no such file or directory: " .. none, tostring(err))
  assert.equal(tostring(err), err.message)
  fails("ENOENT", "none/at/all", fs.read, "none/at/all")
  fails("ENOENT", none, fs.stat, none)
  fails("ENOENT", none, fs.copy, none, file)
  fails("ENOENT", none .. "/x", fs.write, none .. "/x", "")
  fails("ENOENT", none .. "/x", fs.append, none .. "/x", "")
  fails("EISDIR", at[1], fs.read, at[1])
  fails("EISDIR", at[1], fs.write, at[1], "")
  fails("EISDIR", at[1], fs.append, at[1], "")
  fails("EISDIR", at[1], fs.copy, at[1], file)
  fails("ENOTDIR", file .. "/x", fs.read, file .. "/x")
end

cases["a pipe that nobody writes to holds nobody up"] = function()
  local at <close> = directory()
  local pipe = at[1] .. "/pipe"
  os.execute(("mkfifo '%s'"):format(pipe))
  assert.equal("", fs.read(pipe))
  fails("ENXIO", pipe, fs.write, pipe, "x")
  assert.equal("other", fs.stat(pipe).type)
end

cases["a cancelled task does nothing more to files"] = function()
  local at <close> = directory()
  local path, reached = at[1] .. "/file", false
  local task = async.spawn(function()
    pcall(expect.sleep_long)
    reached = true
    fs.write(path, "x")
  end)
  async.checkpoint()
  task:cancel "enough"
  fails_with("cancelled", task.wait, task)
  assert.is_true(reached)
  assert.is_false(fs.exists(path))
end

cases["a loop of operations lets others run"] = function()
  local stop = false
  local task = async.spawn(function()
    while not stop do fs.exists "/" end
  end)
  for _ = 1, 5 do async.checkpoint() end
  stop = true
  task:wait()
  assert.equal("done", task.status)
end

cases["an endless loop of operations is timed out"] = function()
  fails_with("timeout", async.timeout, expect.SHORT, function()
    while true do fs.exists "/" end
  end)
  fails_with("timeout", async.timeout, expect.SHORT, function()
    while true do for _ in fs.each "/" do end end
  end)
end

cases["many operations run at once"] = function()
  local at <close> = directory()
  local names = {}
  for i = 1, 100 do names[i] = ("%s/%d"):format(at[1], i) end
  async.map(names, function(path)
    fs.write(path, path:rep(1000))
    assert.is_true(fs.read(path) == path:rep(1000))
  end, { limit = 20 })
  assert.equal(100, #fs.list(at[1]))
end

cases["misuse is told at the caller's line"] = function()
  misuse("use a dot: fs.read(path)", fs.read, fs, "x")
  misuse("use a dot: fs.copy(from, to)", fs.copy, fs, "x", "y")
  misuse("use a dot: fs.each(path)", fs.each, fs, "x")
  misuse("string expected, got nil", fs.read)
  misuse("string expected, got nil", fs.rename, "x")
  misuse("string expected, got nil", fs.write, "x")
  misuse("string expected, got number", fs.write, "x", 7)
  misuse("a path is not empty", fs.read, "")
  misuse("a path has no NUL in it", fs.read, "x\0y")
  misuse("a path that ends in a name expected", fs.remove, "/", { recursive = true })
  misuse("a path that ends in a name expected", fs.remove, "x/..")
  misuse("a path that ends in a name expected", fs.remove, "./", { recursive = true })
  misuse("fs.copy has no options", fs.copy, "x", "y", {})
  misuse("table expected, got boolean", fs.list, "x", true)
  local err = misuse("", function() fs.read("") end)
  assert.match("files%.lua:%d+: bad argument #1 to 'read'", err)
end

cases["wrong options are told with what is right"] = function()
  misuse('unknown option "maks" (did you mean "max"?)', fs.read, "x", { maks = 1 })
  misuse('unknown option "parent" (did you mean "parents"?)', fs.mkdir, "x", { parent = true })
  misuse('option "max" is a number of bytes (65536 or "20m"), not -1', fs.read, "x", { max = -1 })
  misuse('option "max" is a number of bytes (65536 or "20m"), not "1x"', fs.read, "x",
    { max = "1x" })
  misuse('option "mode" is octal digits in a string ("644"), not 644', fs.write, "x", "",
    { mode = 644 })
  misuse('option "mode" is octal digits in a string ("644"), not "648"', fs.write, "x", "",
    { mode = "648" })
  misuse('option "sync" is true or false, not "yes"', fs.write, "x", "", { sync = "yes" })
  misuse('option "type" is "file", "directory", "link" or "other", not "dir"', fs.list, "/",
    { type = "dir" })
  misuse("fs.read cannot wait inside 'string.gsub'", string.gsub, "x", "x", function()
    fs.read "/dev/null"
  end)
end

return cases
