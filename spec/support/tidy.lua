-- tidy.lua - the project's style as checks.
--
-- Each check takes a source (source.lua), or a list of all of them, and gives a list of complaints
-- "file:line: what is wrong"; an empty list when there is nothing to say. What the style itself is
-- stands in the tables at the top; exceptions are listed there by name, never left out silently.
-- tidy_checks_spec.lua shows that every check can complain.

local tidy = {}

tidy.HEAD_LINES_MIN, tidy.HEAD_LINES_MAX = 3, 10
tidy.FILE_LINES_MAX = 600
tidy.FUNCTION_LINES_MAX = 70
tidy.COLUMNS_MAX = 100
tidy.MEDIAN_BELOW = 12 -- lines of a C function
tidy.MOST_BELOW, tidy.MOST_SHARE = 40, 0.9

--- From below to above: an include points to the same layer or down.
local layers = { "base", "core", "http", "lib", "roles", "server", "main" }

--- Files that use a thing by name; nobody else does.
local confined = {
  { what = "lua_resume", names = { "lua_resume" }, files = { "src/core/fiber.c" } },
  { what = "uv_timer_start", names = { "uv_timer_start", "uv_timer_again" },
    files = { "src/core/timer.c" } },
  { what = "a lock", names = { "uv_mutex_%w+", "uv_rwlock_%w+", "pthread_mutex_%w+", "mtx_%w+" },
    files = { "src/core/inbox.h", "src/core/inbox.c", "src/core/directory.h",
      "src/core/directory.c", "src/core/line_writer.c", "src/core/log_writer.c",
      "src/core/log_keeper.c", "src/core/coverage.c", "src/core/opened.c",
      "src/core/clock.c",
      "src/core/snapshot.c",
      "src/core/watchdog.h", "src/core/watchdog.c", "src/lib/spool.c",
      "src/lib/sqlite_database.h", "src/lib/sqlite_database.c", "src/lib/sqlite_registry.c",
      "src/roles/background.c", "src/roles/background_loop.h", "src/roles/background_loop.c",
      "src/roles/pool.c",
      "src/roles/pool_lost.c", "src/roles/pool_runner.h", "src/roles/pool_runner.c" } },
  -- where event loops and pool threads meet in what is shared: nobody waits there for long
  { what = "a gate", names = { "gate_try%w*", "gate_enter", "gate_leave" },
    files = { "src/core/gate.h", "src/core/gate.c", "src/lib/gate_wait.c",
      "src/lib/shared_store.c", "src/lib/shared_table.c", "src/lib/shared_walk.c",
      "src/lib/topic.c", "src/lib/topic_branch.c", "src/lib/topic_hub.c",
      "src/lib/topic_subscribe.c" } },
}

local banned_calls = { "strcpy", "strcat", "sprintf", "vsprintf", "atoi", "strtok", "gets", "rand",
  "exit" }
local exit_files = { ["src/main.c"] = true }

--- Layers, and files of core/, that know nothing of Lua.
local lua_free = { "^src/base/", "^src/http/", "^src/core/timer%.", "^src/core/inbox%.",
  "^src/core/line_writer%.", "^src/core/log_writer%.", "^src/core/sink%.",
  "^src/core/snapshot%.", "^src/core/gate%.", "^src/core/blob%.", "^src/lib/shard%." }
local lua_headers = { ["lua.h"] = true, ["lauxlib.h"] = true, ["lualib.h"] = true,
  ["luaconf.h"] = true, ["lua.hpp"] = true }

--- Headers whose functions live in a file of another name.
local homes = {
  ["src/base/base.h"] = { file = "src/base/memory.c", stem = "memory" },
  ["src/core/transfer_encoder.h"] = { file = "src/core/transfer_encoder.c", stem = "encoder" },
  ["src/core/transfer_format.h"] = { file = "src/core/transfer.c", stem = "transfer" },
}

--- Functions that their file is not named after.
local odd_names = { ["src/lib/json_decode.h"] = { json_try_decode = true } }

--- Words that say that something is unfinished; put together so that this file has none of them.
local leftovers = { "TO" .. "DO", "FIX" .. "ME", "X" .. "XX", "HA" .. "CK" }

local function set_of(list)
  local set = {}
  for _, value in ipairs(list) do set[value] = true end
  return set
end

-- --- every file ---------------------------------------------------------------------------------

--- Lines of the comment that opens the file; 0 when there is none.
local function head_lines(file)
  local first = file.lines[1] and file.lines[1]:find "^#!" and 2 or 1
  if file.is_c then
    if not (file.lines[first] or ""):find "^/%*" then return 0 end
    for i = first, #file.lines do
      local stop = file.lines[i]:find("*/", 1, true)
      if stop then
        local is_bare_end = file.lines[i]:find "^%s*%*/" ~= nil
        return i - first + (is_bare_end and 0 or 1)
      end
    end
    return 0
  end
  local count = 0
  while (file.lines[first + count] or ""):find "^%-%-" do count = count + 1 end
  return count
end

function tidy.head(file)
  local count = head_lines(file)
  if count >= tidy.HEAD_LINES_MIN and count <= tidy.HEAD_LINES_MAX then return {} end
  return { file:at(1, "the comment at its head has %d lines, not %d to %d", count,
    tidy.HEAD_LINES_MIN, tidy.HEAD_LINES_MAX) }
end

function tidy.size(file)
  if #file.lines <= tidy.FILE_LINES_MAX then return {} end
  return { file:at(#file.lines, "%d lines, at most %d", #file.lines, tidy.FILE_LINES_MAX) }
end

function tidy.columns(file)
  local complaints = {}
  for i, line in ipairs(file.lines) do
    local columns = utf8.len(line) or #line
    if columns > tidy.COLUMNS_MAX then
      complaints[#complaints + 1] = file:at(i, "%d columns, at most %d", columns, tidy.COLUMNS_MAX)
    end
  end
  return complaints
end

--- A block that only holds specs is no function that anybody reads as one.
local function is_container(file, block)
  return file.path:find "_spec%.lua$" and block.before
    and (block.before:find "^%s*describe%f[%W]" or block.before:find "^%s*insulate%f[%W]")
end

function tidy.function_lengths(file)
  local complaints = {}
  for _, found in ipairs(file:functions()) do
    local lines = found.last - found.first + 1
    if lines > tidy.FUNCTION_LINES_MAX and not is_container(file, found) then
      complaints[#complaints + 1] = file:at(found.first, "%s has %d lines, at most %d", found.name,
        lines, tidy.FUNCTION_LINES_MAX)
    end
  end
  return complaints
end

function tidy.leftovers(file)
  local complaints = {}
  for i, line in ipairs(file.lines) do
    for _, word in ipairs(leftovers) do
      if line:upper():find("%f[%w_]" .. word .. "%f[^%w_]") then
        complaints[#complaints + 1] = file:at(i, "%s was left over", word)
      end
    end
  end
  return complaints
end

-- --- C ------------------------------------------------------------------------------------------

local rank_of = {}
for rank, name in ipairs(layers) do rank_of[name] = rank end

--- "base/buffer.h" is in base; of the files in src/ itself main.c is main, the others are server.
local function rank_of_path(path)
  local folder = path:match "^([^/]+)/"
  if folder then return rank_of[folder] end
  return rank_of[path:find "^main%.%w+$" and "main" or "server"]
end

function tidy.layers(file)
  local complaints = {}
  local own = rank_of_path(file.path:gsub("^src/", ""))
  if not own then return { file:at(1, "is in no layer (%s)", table.concat(layers, " < ")) } end
  for _, include in ipairs(file:includes()) do
    local rank = not include.is_system and rank_of_path(include.name)
    local is_beside = not include.name:find("/", 1, true) and own < rank_of.server
    if not include.is_system and (is_beside or not rank) then
      complaints[#complaints + 1] = file:at(include.line, "\"%s\" is not named from src/ on",
        include.name)
    elseif rank and rank > own then
      complaints[#complaints + 1] = file:at(include.line, "%s includes %s, which is above it",
        layers[own], include.name)
    end
  end
  return complaints
end

--- The first header of Lua that a file includes, itself or through others, and the include that
--- leads there.
local function find_lua(file, by_path, seen)
  for _, include in ipairs(file:includes()) do
    if include.is_system and lua_headers[include.name] then return include.name, include end
    local path = "src/" .. include.name
    if not include.is_system and by_path[path] and not seen[path] then
      seen[path] = true
      local header = find_lua(by_path[path], by_path, seen)
      if header then return header, include end
    end
  end
end

function tidy.lua_free(files)
  local complaints, by_path = {}, {}
  for _, file in ipairs(files) do by_path[file.path] = file end
  for _, file in ipairs(files) do
    for _, pattern in ipairs(lua_free) do
      local header, include
      if file.path:find(pattern) then header, include = find_lua(file, by_path, {}) end
      if header then
        complaints[#complaints + 1] = file:at(include.line, "gets %s by %s, and must build without",
          header, include.name)
      end
    end
  end
  return complaints
end

--- Calls visit(line number, code) for each line of code that has the word, a pattern.
local function each_word(file, word, visit)
  for i, line in ipairs(file:code_lines()) do
    if line:find("%f[%w_]" .. word .. "%f[^%w_]") then visit(i, line) end
  end
end

function tidy.confined(file)
  local complaints = {}
  for _, rule in ipairs(confined) do
    if not set_of(rule.files)[file.path] then
      for _, name in ipairs(rule.names) do
        each_word(file, name, function(line)
          complaints[#complaints + 1] = file:at(line, "%s is for %s only", rule.what,
            table.concat(rule.files, ", "))
        end)
      end
    end
  end
  return complaints
end

function tidy.banned_calls(file)
  local complaints = {}
  for _, name in ipairs(banned_calls) do
    local is_allowed = name == "exit" and (exit_files[file.path] or not file.path:find "^src/")
    if not is_allowed then
      each_word(file, name, function(line, code)
        if not code:find("%f[%w_]" .. name .. "%s*%(") then return end
        complaints[#complaints + 1] = file:at(line, "%s() is not to be called", name)
      end)
    end
  end
  return complaints
end

--- Whether every name that a declaration declares is constant: `const char *const a[] = ...`.
local function is_constant(declaration)
  local head = declaration:match "^[^={;]*"
  if head:find "%f[%w_]constexpr%f[^%w_]" then return true end
  local is_value_constant = head:find "%f[%w_]const%f[^%w_]" ~= nil
  for name in head:gmatch "[^,]+" do
    local behind_pointer = name:match ".*%*(.*)$"
    if behind_pointer and not behind_pointer:find "%f[%w_]const%f[^%w_]" then return false end
    if not behind_pointer and not is_value_constant then return false end
  end
  return true
end

local function static_locals(file, item, visit)
  local code = file:code_lines()
  for i = item.first + 1, item.last do
    if code[i]:find "^%s+static%s" then visit(i, table.concat(code, " ", i, item.last)) end
  end
end

function tidy.mutable_variables(file)
  local complaints = {}
  local function check(line, declaration)
    if is_constant(declaration) then return end
    complaints[#complaints + 1] = file:at(line, "a variable that lives as long as the process: %s",
      declaration:match "^%s*([^={;]*)":gsub("%s+$", ""))
  end
  for _, item in ipairs(file:items()) do
    if item.kind == "variable" then check(item.first, item.text) end
    if item.kind == "function" then static_locals(file, item, check) end
  end
  for _, word in ipairs { "_Thread_local", "thread_local", "__thread" } do
    each_word(file, word, function(line)
      complaints[#complaints + 1] = file:at(line, "%s: state hangs off struct worker", word)
    end)
  end
  return complaints
end

-- --- headers ------------------------------------------------------------------------------------

local function is_public(item)
  return item.kind == "prototype" or item.kind == "function"
end

--- json_encode, json_encode_x and json_encodes_x are all of json_encode.h.
local function is_named_after(name, stem)
  local rest = name:sub(1, #stem) == stem and name:sub(#stem + 1)
  return rest and (rest == "" or rest:find "^s?_") or name:find "^luaopen_"
end

function tidy.names(file)
  local complaints, odd = {}, odd_names[file.path] or {}
  local stem = file.path:match "([^/]+)%.h$"
  if homes[file.path] then stem = homes[file.path].stem end
  for _, item in ipairs(file:items()) do
    if is_public(item) and not is_named_after(item.name, stem) and not odd[item.name] then
      complaints[#complaints + 1] = file:at(item.first, "%s does not begin with %s_", item.name,
        stem)
    end
  end
  return complaints
end

local function has_tag(text)
  return text:find("[owner]", 1, true) or text:find("[any thread]", 1, true)
end

--- The comment that ends right above a line, or above the group of lines that it belongs to.
local function comment_above(file, line)
  local code = file:code_lines()
  local last = line - 1
  while last >= 1 and code[last]:find "%S" do last = last - 1 end
  if last < 1 or not file.lines[last]:find "%*/%s*$" then return "" end
  local first = last
  while first > 1 and not file.lines[first]:find("/*", 1, true) do first = first - 1 end
  return table.concat(file.lines, "\n", first, last)
end

function tidy.thread_tags(file)
  local complaints = {}
  local head = table.concat(file.lines, "\n", 1, math.min(head_lines(file), #file.lines))
  if head:find "functions are %[" and has_tag(head) then return {} end
  for _, item in ipairs(file:items()) do
    if item.kind == "prototype" and not has_tag(comment_above(file, item.first)) then
      complaints[#complaints + 1] = file:at(item.first,
        "the comment above %s does not say [owner] or [any thread]", item.name)
    end
  end
  return complaints
end

--- Every header with prototypes has a source file of its name.
function tidy.homes(files)
  local complaints, exists = {}, {}
  for _, file in ipairs(files) do exists[file.path] = true end
  for _, file in ipairs(files) do
    local base = file.path:match "^(.*)%.h$"
    local home = homes[file.path]
    local has_home = exists[home and home.file or base and base .. ".c"]
      or base and not home and exists[base .. ".cc"]
    for _, item in ipairs(base and not has_home and file:items() or {}) do
      if item.kind == "prototype" then
        complaints[#complaints + 1] = file:at(item.first, "%s has no %s", item.name,
          home and home.file or base .. ".c")
      end
    end
  end
  return complaints
end

-- --- all of the C code --------------------------------------------------------------------------

--- Half of the functions are short, most are not long.
function tidy.function_sizes(files)
  local lengths = {}
  for _, file in ipairs(files) do
    for _, found in ipairs(file:functions()) do
      lengths[#lengths + 1] = found.last - found.first + 1
    end
  end
  if #lengths == 0 then return { "there is no function" } end
  table.sort(lengths)
  local complaints = {}
  local median = lengths[(#lengths + 1) // 2]
  local most = lengths[math.ceil(#lengths * tidy.MOST_SHARE)]
  if median >= tidy.MEDIAN_BELOW then
    complaints[#complaints + 1] = ("the median function has %d lines, not below %d"):format(
      median, tidy.MEDIAN_BELOW)
  end
  if most >= tidy.MOST_BELOW then
    complaints[#complaints + 1] = ("%d %% of the functions have up to %d lines, not below %d")
      :format(tidy.MOST_SHARE * 100 // 1, most, tidy.MOST_BELOW)
  end
  return complaints
end

-- --- apps ---------------------------------------------------------------------------------------

--- Every app has its specs and its page. `paths` are all files below apps/.
function tidy.apps(paths)
  local complaints, apps, has = {}, {}, {}
  for _, path in ipairs(paths) do
    local app, rest = path:match "^apps/([^/]+)/(.+)$"
    if rest == "app.lua" then apps[#apps + 1] = app end
    if rest == "README.md" then has[app .. " page"] = true end
    if rest and rest:find "^spec/.*_spec%.lua$" then has[app .. " spec"] = true end
  end
  for _, app in ipairs(apps) do
    if not has[app .. " spec"] then
      complaints[#complaints + 1] = ("apps/%s/spec:1: has no *_spec.lua"):format(app)
    end
    if not has[app .. " page"] then
      complaints[#complaints + 1] = ("apps/%s/README.md:1: is missing"):format(app)
    end
  end
  return complaints
end

return tidy
