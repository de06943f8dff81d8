-- watch.lua - fs.watch: what changes in a directory and below it, as an iterator.
--
-- The kernel tells of names in single directories (src/lib/fs_watcher.c). Here they become paths,
-- several events of one path become one change, and directories that appear are watched as well.
-- All names are remembered: only so is a file that was replaced told from one that is new.

local async = require "perilune.async"
local check = require "perilune.check"
local native = require "perilune.native.fs"

local watch = {}

local Watch = { __name = "watch" }
Watch.__index = Watch

local known_options = { "recursive" }

local function join(directory, name)
  return directory == "" and name or directory .. "/" .. name
end

-- --- one batch of events ------------------------------------------------------------------------

--- What becomes of a change when another one of the same path follows; nil: nothing is left.
local function merge(first, second)
  if first == "created" then return second ~= "removed" and "created" or nil end
  if first == "removed" and second == "created" then return "changed" end
  return second
end

local function note(self, path, kind)
  local change = self.by_path[path]
  if not change then
    change = { path = path }
    self.by_path[path] = change
    self.changes[#self.changes + 1] = change
    change.type = kind
  else
    change.type = merge(change.type, kind)
    if not change.type then self.by_path[path] = nil end
  end
end

local function appear(self, path, kind)
  if not self.names[path] then
    self.names[path] = true
    note(self, path, "created")
  elseif kind == "moved in" then
    note(self, path, "changed")
  end
end

local function disappear(self, path)
  if not self.names[path] then return end
  self.names[path] = nil
  note(self, path, "removed")
end

--- Watches a directory and what is below it; its names appear. It may be gone again.
local function enter(self, directory)
  local ok, directories, names = pcall(self.watcher.add, self.watcher, directory, self.recursive)
  if not ok then
    local code = type(directories) == "table" and directories.code
    if code == "ENOENT" or code == "ENOTDIR" then return end
    error(directories, 0)
  end
  for number, path in pairs(directories) do self.directories[number] = path end
  for i = 2, #names do appear(self, names[i]) end
end

--- A directory was moved away: what is below it is not told of by name.
local function leave(self, directory)
  local below = directory .. "/"
  for number, path in pairs(self.directories) do
    if path == directory or path:sub(1, #below) == below then
      self.watcher:forget(number)
      self.directories[number] = nil
    end
  end
  local gone = {}
  for path in pairs(self.names) do
    if path:sub(1, #below) == below then gone[#gone + 1] = path end
  end
  table.sort(gone)
  for _, path in ipairs(gone) do disappear(self, path) end
end

--- Events were lost: looks at everything again.
local function resume(self)
  local before = self.names
  self.names = {}
  note(self, "", "overflow")
  local directories, names = self.watcher:add("", self.recursive)
  self.directories = directories
  for i = 2, #names do
    self.names[names[i]] = true
    if not before[names[i]] then note(self, names[i], "created") end
  end
  for path in pairs(before) do
    if not self.names[path] then note(self, path, "removed") end
  end
end

local function apply(self, number, kind, name, is_directory)
  local directory = self.directories[number]
  if kind == "overflow" then return resume(self) end
  if not directory then return end
  if name == "" then
    if kind == "ignored" then self.directories[number] = nil end
    if kind == "gone" and directory == "" then
      note(self, "", "removed")
      self.has_ended = true
    end
    return
  end
  local path = join(directory, name)
  if kind == "created" or kind == "moved in" then
    appear(self, path, kind)
    if is_directory and self.recursive then enter(self, path) end
  elseif kind == "changed" then
    if self.names[path] and not is_directory then note(self, path, "changed") end
  else
    if is_directory and kind == "moved out" then leave(self, path) end
    disappear(self, path)
  end
end

--- The change as the app sees it; nil: it asked for another file.
local function shown(self, change)
  if not change.type then return nil end
  if self.file then
    if change.path ~= self.file and change.path ~= "" then return nil end
    return { path = self.path, type = change.type }
  end
  local path = change.path == "" and self.path or join(self.path, change.path)
  return { path = path, type = change.type }
end

local function apply_all(self, events)
  self.changes, self.by_path = {}, {}
  for i = 1, #events, 4 do apply(self, table.unpack(events, i, i + 3)) end
  for _, change in ipairs(self.changes) do self.queue[#self.queue + 1] = shown(self, change) end
end

--- Waits for events; who is cancelled has not taken any, or all of them.
local function read_batch(self)
  local events = self.watcher:read()
  if events then async.shield(apply_all, self, events) end
  return events ~= nil
end

-- --- the watch ----------------------------------------------------------------------------------

local methods = {}

--- The next change, { path =, type = "created" | "changed" | "removed" | "overflow" }, the last of
--- which means that anything may have changed; nil once the watch was closed, or what it watches
--- was removed.
---@usage local change = changes:next()
function methods.next(self)
  local guard <close> = self.mutex:lock() -- luacheck: ignore guard
  while not self.queue[self.taken + 1] do
    self.queue, self.taken = {}, 0
    if self.has_ended or not read_batch(self) then return nil end
  end
  self.taken = self.taken + 1
  return self.queue[self.taken]
end

--- Ends the watch: who waits for the next change gets nil.
function methods.close(self)
  self.has_ended = true
  self.watcher:close()
end

check.methods(Watch, methods)
Watch.__call = Watch.next
Watch.__close = Watch.close

function Watch:__tostring() return "watch: " .. self.path end

--- Where the file or directory is: the directory to watch, and the name of the file in it.
local function place(path)
  if check.call(native.functions.stat, path).type == "directory" then
    return (path:gsub("(.)/+$", "%1")), nil
  end
  local directory, name = path:match "^(.*)/([^/]+)$"
  if not directory then return ".", path end
  return directory == "" and "/" or directory, name
end

--- Watches a file, or a directory with all that is below it.
---@param path string
---@param options table|nil { recursive = true }
---@return function to be called for the next change, and what a loop needs to close the watch
---@usage for change in fs.watch "templates" do reload(change.path) end
function watch.new(path, options)
  if path == native.functions then check.fail "use a dot: fs.watch(path)" end
  check.type("fs.watch", 1, path, "string", "a path")
  options = options == nil and {} or options
  check.type("fs.watch", 2, options, "table", "a table of options")
  check.options(options, known_options)
  check.field(options, "recursive", "boolean")
  local directory, file = place(path)
  local self = setmetatable({
    path = file and path or directory, file = file, watcher = native.watcher(directory),
    recursive = not file and options.recursive ~= false, mutex = async.mutex(),
    names = {}, queue = {}, taken = 0,
  }, Watch)
  local directories, names = self.watcher:add("", self.recursive)
  self.directories = directories
  for i = 2, #names do self.names[names[i]] = true end
  return self, nil, nil, self
end

return watch
