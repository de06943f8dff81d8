-- watches.lua - cases of fs.watch, by name; as files.lua.
--
-- What one change does to files may come as one event of the kernel or as several, in one batch or
-- in two: cases wait for what must come, and look at what must not at their end.

local assert = require "luassert"
local async = require "perilune.async"
local fs = require "perilune.fs"

local prefix = (...):match "^(.-)%w+$"
local expect = require(prefix .. "expect")

local directory, misuse, fails_with = expect.directory, expect.misuse, expect.fails_with

local cases = {}

--- Takes changes until one is of that type and path; gives all of them as texts "type path", the
--- path from the directory on.
local function take(at, changes, type, name)
  local seen, path = {}, name == "" and at[1] or at[1] .. "/" .. name
  return async.timeout(expect.LONG / 2, function()
    for change in changes do
      seen[#seen + 1] = ("%s %s"):format(change.type, change.path:sub(#at[1] + 2))
      if change.type == type and change.path == path then return seen end
    end
    error("the watch has ended: " .. table.concat(seen, ", "))
  end)
end

local function has(seen, text)
  for _, found in ipairs(seen) do
    if found == text then return true end
  end
  return false
end

cases["watch tells what is created, changed and removed"] = function()
  local at <close> = directory()
  fs.write(at[1] .. "/old", "x")
  local changes <close> = fs.watch(at[1])
  fs.append(at[1] .. "/old", "y")
  assert.same({ "changed old" }, take(at, changes, "changed", "old"))
  fs.append(at[1] .. "/new", "x")
  assert.is_false(has(take(at, changes, "created", "new"), "created old"))
  fs.remove(at[1] .. "/old")
  local seen = take(at, changes, "removed", "old")
  assert.is_false(has(seen, "created old"))
end

cases["a file that is replaced has changed"] = function()
  local at <close> = directory()
  fs.write(at[1] .. "/file", "x")
  local changes <close> = fs.watch(at[1])
  fs.write(at[1] .. "/file", "y")
  local seen = take(at, changes, "changed", "file")
  assert.is_false(has(seen, "created file"))
  fs.write(at[1] .. "/other", "y")
  take(at, changes, "created", "other")
end

cases["many writes to a file are few changes"] = function()
  local at <close> = directory()
  local changes <close> = fs.watch(at[1])
  local file = io.open(at[1] .. "/file", "w") -- no other task runs meanwhile
  file:setvbuf "no"
  for _ = 1, 200 do file:write "x" end
  file:close()
  fs.mkdir(at[1] .. "/end")
  local seen = take(at, changes, "created", "end")
  assert.is_true(has(seen, "created file"))
  assert.is_true(#seen < 10, #seen)
end

cases["directories below are watched, new ones too"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/a/b", { parents = true })
  local changes <close> = fs.watch(at[1] .. "/")
  fs.append(at[1] .. "/a/b/file", "x")
  take(at, changes, "created", "a/b/file")
  fs.mkdir(at[1] .. "/c/d/e", { parents = true })
  fs.append(at[1] .. "/c/d/e/file", "x")
  local seen = take(at, changes, "created", "c/d/e/file")
  for _, name in ipairs { "c", "c/d", "c/d/e" } do assert.is_true(has(seen, "created " .. name)) end
  fs.append(at[1] .. "/c/d/e/file", "y")
  take(at, changes, "changed", "c/d/e/file")
  fs.remove(at[1] .. "/c", { recursive = true })
  seen = take(at, changes, "removed", "c")
  assert.is_true(has(seen, "removed c/d/e/file"))
end

cases["a directory that moves takes its names along"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/a/deep", { parents = true })
  fs.write(at[1] .. "/a/deep/file", "x")
  local changes <close> = fs.watch(at[1])
  fs.rename(at[1] .. "/a", at[1] .. "/b")
  local seen = take(at, changes, "created", "b/deep/file")
  for _, text in ipairs { "removed a", "removed a/deep/file", "created b", "created b/deep" } do
    assert.is_true(has(seen, text), text)
  end
  fs.append(at[1] .. "/b/deep/file", "y")
  take(at, changes, "changed", "b/deep/file")
end

cases["recursive = false watches one directory"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/sub")
  local changes <close> = fs.watch(at[1], { recursive = false })
  fs.append(at[1] .. "/sub/file", "x")
  fs.mkdir(at[1] .. "/sub2")
  fs.append(at[1] .. "/sub2/file", "x")
  fs.append(at[1] .. "/end", "x")
  assert.same({ "created sub2", "created end" }, take(at, changes, "created", "end"))
end

cases["one file is watched, whoever replaces it"] = function()
  local at <close> = directory()
  fs.write(at[1] .. "/file", "x")
  local changes <close> = fs.watch(at[1] .. "/file")
  fs.write(at[1] .. "/other", "x")
  fs.write(at[1] .. "/file", "y")
  assert.same({ "changed file" }, take(at, changes, "changed", "file"))
  fs.remove(at[1] .. "/file")
  local seen = take(at, changes, "removed", "file")
  assert.is_false(has(seen, "created other"))
  fs.write(at[1] .. "/file", "z")
  take(at, changes, "created", "file")
end

cases["a watch ends when what it watches is removed"] = function()
  local at <close> = directory()
  fs.mkdir(at[1] .. "/sub")
  local types = {}
  local changes <close> = fs.watch(at[1] .. "/sub")
  fs.remove(at[1] .. "/sub")
  for change in changes do
    types[#types + 1] = change.type
    assert.equal(at[1] .. "/sub", change.path)
  end
  assert.same({ "removed" }, types)
  assert.is_nil(changes:next())
end

cases["close ends the loop of another task"] = function()
  local at <close> = directory()
  local changes = fs.watch(at[1])
  local tasks = {}
  for i = 1, 3 do tasks[i] = async.spawn(changes.next, changes) end
  async.checkpoint()
  changes:close()
  for i = 1, 3 do assert.is_nil(tasks[i]:wait()) end
  changes:close()
end

cases["a wait for a change is cancelled and timed out, and nothing is lost"] = function()
  local at <close> = directory()
  local changes <close> = fs.watch(at[1])
  fails_with("timeout", async.timeout, expect.SHORT, changes.next, changes)
  local task = async.spawn(changes.next, changes)
  async.checkpoint()
  fs.append(at[1] .. "/file", "x")
  task:cancel()
  local ok, change = pcall(task.wait, task)
  if not ok then change = changes:next() end
  assert.same({ path = at[1] .. "/file", type = "created" }, change)
end

cases["misuse of a watch is told at the caller's line"] = function()
  misuse("use a dot: fs.watch(path)", fs.watch, fs, "x")
  misuse("argument 1 is a path, not nil", fs.watch)
  misuse("a path is not empty", fs.watch, "")
  misuse('unknown option "recursiv" (did you mean "recursive"?)', fs.watch, "/tmp",
    { recursiv = true })
  local err = fails_with("fs", fs.watch, "/none/at/all")
  assert.same({ "ENOENT", "/none/at/all" }, { err.code, err.path })
  local at <close> = directory()
  local changes <close> = fs.watch(at[1])
  misuse("use a colon (watch:next)", changes.next, {})
  assert.equal("watch: " .. at[1], tostring(changes))
end

return cases
