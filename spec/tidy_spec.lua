-- tidy_spec.lua - the style is a test.
--
-- Holds every source file of the project against the checks of support/tidy.lua: heads, sizes,
-- layers, names, banned calls, what was left over. Reads the tree, starts clang-format and luacheck
-- where they are installed, and changes nothing. Each failure names file and line.

local lfs = require "lfs"
local program = require "support.program"
local source = require "support.source"
local tidy = require "support.tidy"

local root = program.root()

local function app_directories()
  local found = {}
  for name in lfs.dir(root .. "/apps") do
    if name:sub(1, 1) ~= "." then found[#found + 1] = "apps/" .. name end
  end
  return found
end

local c_extensions = { "c", "cc", "h" }
local lua_places = { "lua", "spec", table.unpack(app_directories()) }
local program_c = source.tree(root, { "src" }, c_extensions)
local spec_c = source.tree(root, { "spec" }, c_extensions)
local lua_files = source.tree(root, lua_places, { "lua" })

local headers, bodies = {}, {}
for _, file in ipairs(program_c) do
  table.insert(file.extension == "h" and headers or bodies, file)
end

--- Scripts and texts without an extension that the style of code holds for too.
local scripts = {}
for _, path in ipairs {
  "perilune", ".ci/run", "CMakeLists.txt", "spec/bench/run", "spec/bench/common.sh",
  "spec/bench/async/run", "spec/bench/async/node.mjs", "spec/bench/async/python.py",
  "spec/bench/tasks/run", "spec/bench/tasks/node.mjs", "spec/bench/tasks/python.py",
  "spec/bench/sqlite/run", "spec/bench/sqlite/node.mjs", "spec/bench/sqlite/python.py",
  "spec/clients/run",
  "spec/clients/transfer", "spec/clients/server.sh", "spec/clients/checks.sh",
  "spec/clients/curl.sh", "spec/clients/chromium.sh", "spec/clients/node.mjs",
  "spec/clients/python.py", "spec/clients/page/check.js", "apps/board/public/app.js",
} do
  if lfs.attributes(root .. "/" .. path) then scripts[#scripts + 1] = source.read(root, path) end
end

local function join(...)
  local all = {}
  for _, list in ipairs { ... } do table.move(list, 1, #list, #all + 1, all) end
  return all
end

local code = join(program_c, spec_c, lua_files)

local function expect_none(complaints)
  assert.is_true(#complaints == 0, "\n" .. table.concat(complaints, "\n"))
end

--- Nothing to look at would be a defect of this spec.
local function expect_each(files, check)
  assert.is_true(#files > 0)
  local complaints = {}
  for _, file in ipairs(files) do
    for _, complaint in ipairs(check(file)) do complaints[#complaints + 1] = complaint end
  end
  expect_none(complaints)
end

local function has_command(name)
  return os.execute(("command -v %s >/dev/null 2>&1"):format(name)) == true
end

--- Runs a command in the root; the lines of its output that match are the failure's message.
local function expect_success(command, pattern)
  local pipe = assert(io.popen(("cd '%s' && %s 2>&1"):format(root, command)))
  local shown, output = {}, pipe:read "a"
  for line in output:gmatch "[^\n]+" do
    if line:find(pattern) then shown[#shown + 1] = line:gsub("^%s+", "") end
  end
  local message = #shown > 0 and table.concat(shown, "\n") or output
  assert.is_true(pipe:close() == true, "\n" .. message)
end

local function quoted_paths(files)
  local paths = {}
  for i, file in ipairs(files) do paths[i] = "'" .. file.path .. "'" end
  return table.concat(paths, " ")
end

describe("every file", function()
  it("opens with a comment that says what it is", function() expect_each(code, tidy.head) end)
  it("fits on a few screens", function() expect_each(join(code, scripts), tidy.size) end)
  it("has short lines", function() expect_each(join(code, scripts), tidy.columns) end)
  it("has short functions", function() expect_each(code, tidy.function_lengths) end)
  it("is finished", function() expect_each(join(code, scripts), tidy.leftovers) end)
end)

describe("the C code", function()
  it("includes downward only", function() expect_each(program_c, tidy.layers) end)

  it("knows Lua only where it has to", function() expect_none(tidy.lua_free(program_c)) end)

  it("resumes, starts timers and locks in one place each", function()
    expect_each(program_c, tidy.confined)
  end)

  it("has no mutable variables that live as long as the process", function()
    expect_each(program_c, tidy.mutable_variables)
  end)

  it("calls nothing that is banned", function()
    expect_each(join(program_c, spec_c), tidy.banned_calls)
  end)

  it("has mostly small functions", function() expect_none(tidy.function_sizes(program_c)) end)

  it("names public functions after their file", function() expect_each(headers, tidy.names) end)

  it("says on which thread a function may be called", function()
    expect_each(headers, tidy.thread_tags)
  end)

  it("has what a header promises in the file of its name", function()
    expect_none(tidy.homes(join(headers, bodies)))
  end)

  it("has the format of clang-format", function()
    if not has_command "clang-format" then
      pending "clang-format is not installed"
      return
    end
    local paths = quoted_paths(join(program_c, spec_c))
    expect_success("clang-format --dry-run -Werror " .. paths, "%d: error:")
  end)
end)

describe("the Lua code", function()
  it("has nothing that luacheck warns of", function()
    if not has_command "luacheck" then
      pending "luacheck is not installed"
      return
    end
    expect_success("luacheck --no-color -q " .. quoted_paths(lua_files), ":%d+:%d+:")
  end)
end)

describe("every app", function()
  it("has specs and a page", function()
    local paths = {}
    for i, file in ipairs(source.tree(root, { "apps" }, { "lua", "md" })) do
      paths[i] = file.path
    end
    expect_none(tidy.apps(paths))
  end)
end)
