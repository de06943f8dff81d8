-- test/coverage.lua - luacov in a state of Lua: what it counts with, and when it saves.
--
-- luacov's own way of reaching coroutines, functions in place of those that make them, is taken
-- back: those are ours, and coroutines inherit a hook in C (src/core/coverage.c). So is its way of
-- saving when the state is closed, as states end at the same time.

local native = require "perilune.native.coverage"

local coverage = {}

local own_directory = debug.getinfo(1, "S").source:match "^@(.*)/test/coverage%.lua$"

--- Modules whose lines are nobody's; of "a.b" the whole directory.
local foreign = { "busted.core", "cliargs.core", "luassert.assert", "pl.path", "say.init", "say",
  "mediator", "system.init", "system", "term.init", "term" }

local function escape(text)
  return (text:gsub("%p", "%%%0"))
end

--- What luacov leaves out: the framework, busted and what it needs.
local function exclude_foreign(luacov)
  local exclude = luacov.configuration.exclude
  table.insert(exclude, "^" .. escape(own_directory) .. "/")
  for _, name in ipairs(foreign) do
    local path = package.searchpath(name, package.path)
    local directory = path and name:find(".", 1, true) and path:match "^(.*/)[^/]*$"
    if directory then
      table.insert(exclude, "^" .. escape(directory))
    elseif path then
      table.insert(exclude, "^" .. escape(path:gsub("%.lua$", "")) .. "$")
    end
  end
end

--- No finalizer saves: another state may be saving then.
local function disarm(luacov)
  luacov.tick = false
  if luacov.on_exit_trick then debug.setmetatable(luacov.on_exit_trick, nil) end
end

--- Counts the lines of this state from now on.
---@param config string|nil luacov's file of options; nil: .luacov, where there is one
---@param reports boolean|nil whether this state writes the report that the options ask for
function coverage.start(config, reports)
  local create, wrap, exit = coroutine.create, coroutine.wrap, os.exit
  local luacov = require "luacov.runner"
  luacov.init(config)
  rawset(coroutine, "create", create)
  rawset(coroutine, "wrap", wrap)
  rawset(os, "exit", exit)
  disarm(luacov)
  exclude_foreign(luacov)
  native.count(luacov.debug_hook, function()
    luacov.save_stats()
    if reports and luacov.configuration.runreport then luacov.run_report(luacov.configuration) end
  end)
end

--- Counts the lines of this state and of all that begin from now on. Raises a text when that cannot
--- be done.
---@param config string|nil
function coverage.begin(config)
  if not package.searchpath("luacov.runner", package.path) then
    error("luacov is not installed: install it with `luarocks install luacov`", 0)
  end
  local file = config and io.open(config)
  if config and not file then error(("there is no file %s"):format(config), 0) end
  if file then file:close() end
  coverage.start(config, true)
  native.begin(config)
end

return coverage
