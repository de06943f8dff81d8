-- check.lua - `perilune check DIR`: looks for mistakes in an app without serving it.
--
-- The app is loaded in a worker of its own (check_main.lua), and luacheck, where it is installed,
-- reads its files. Each problem is a line that names the place; the exit code is 1 when there is
-- one.

local lfs = require "lfs"
local native = require "perilune.native.server"
local directory = require "perilune.cli.directory"
local settings = require "perilune.cli.settings"

local check = {
  usage = "perilune check DIR",
  summary = "Look for mistakes in an app.",
  description = "Loads the app in DIR and lists what is wrong: routes that clash, calls that hold"
    .. " the event loop, functions that cannot be sent to the thread pool, and what luacheck finds,"
    .. " where it is installed. The exit code is 1 when there is something.",
}

local function shell_word(word)
  return "'" .. word:gsub("'", "'\\''") .. "'"
end

--- The Lua files below a directory, in order; hidden directories are left out.
local function add_files(files, dir)
  local names = {}
  for name in lfs.dir(dir) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = dir .. "/" .. name
    local mode = name:sub(1, 1) ~= "." and lfs.symlinkattributes(path, "mode")
    if mode == "directory" then add_files(files, path) end
    if mode == "file" and name:find "%.lua$" then files[#files + 1] = path end
  end
  return files
end

--- Whether luacheck finds a configuration of the project: in the directory or above it.
local function has_configuration(dir)
  while dir do
    if lfs.attributes(dir .. "/.luacheckrc") then return true end
    dir = dir ~= "" and dir:match "^(.*)/[^/]*$"
  end
  return false
end

--- Runs luacheck over files, prints what it finds, and gives how many lines that were.
local function run_luacheck(files, options)
  if #files == 0 then return 0 end
  local words = {}
  for i, file in ipairs(files) do words[i] = shell_word(file) end
  local count = 0
  local command = "luacheck --no-color --formatter plain %s -- %s 2>&1"
  local pipe = assert(io.popen(command:format(options, table.concat(words, " "))))
  for line in pipe:lines() do
    count = count + 1
    io.write(line, "\n")
  end
  pipe:close()
  return count
end

--- Specs know busted's words. A .luacheckrc of the project's own says what counts instead.
local function lint(shown, absolute)
  if not os.execute "command -v luacheck >/dev/null 2>&1" then
    return 0, "luacheck is not installed"
  end
  local code, specs = {}, {}
  for _, file in ipairs(add_files({}, shown)) do
    table.insert(file:find "_spec%.lua$" and specs or code, file)
  end
  if has_configuration(absolute) then return run_luacheck(table.move(specs, 1, #specs, #code + 1,
    code), "") end
  local options = "--std lua54%s --ignore 212 --no-max-line-length"
  return run_luacheck(code, options:format "") + run_luacheck(specs, options:format "+busted")
end

---@param parsed table dir
---@return integer exit_code
function check.run(parsed)
  local dir = directory.of_app(parsed.dir)
  local shown = parsed.dir:gsub("(.)/+$", "%1")
  local texts, app_settings = settings.collect(parsed.dir, {})
  local count, remark = lint(shown, dir)
  io.stdout:flush()
  local exit_code = native.run {
    dir = dir,
    settings = texts,
    app_settings = app_settings,
    module = "perilune.cli.check_main",
    arguments = { dir = dir, found = count, remark = remark },
  }
  return exit_code
end

return check
