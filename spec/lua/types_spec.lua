-- types_spec.lua - the definitions for editors name every public function, and no other.
--
-- They are texts (lua/perilune/types), read here and never loaded; what there is is looked up in
-- the modules and classes themselves.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local lfs = require "lfs"
local perilune = require "perilune"
local program = require "support.program"

local DIRECTORY = program.root() .. "/lua/perilune/types"

--- Classes by name: { fields = set, functions = set, parent = name }.
local classes = {}

local function class_of(name)
  classes[name] = classes[name] or { fields = {}, functions = {} }
  return classes[name]
end

local function read_definitions(text)
  local class_name
  local by_variable = {}
  for line in text:gmatch "[^\n]+" do
    local name, parent = line:match "^%-%-%-@class ([%w_.]+):? ?([%w_.]*)"
    if name then
      class_name = name
      class_of(name).parent = parent ~= "" and parent or nil
    end
    local field = line:match "^%-%-%-@field ([%w_]+)"
    if field and class_name then class_of(class_name).fields[field] = true end
    local variable = line:match "^local ([%w_]+) = {}$"
    if variable then by_variable[variable] = class_name end
    local owner, key = line:match "^function ([%w_]+)[.:]([%w_]+)%("
    if owner then class_of(by_variable[owner]).functions[key] = true end
    owner, key = line:match "^([%w_]+)%.([%w_]+) = {}$"
    if owner then class_of(by_variable[owner]).fields[key] = true end
  end
end

local function is_defined(name, key)
  local class = classes[name]
  while class do
    if class.fields[key] or class.functions[key] then return true end
    class = class.parent and classes[class.parent]
  end
  return false
end

--- Everything that a table has is defined in the class, and its functions are there.
local function expect_same(name, given)
  local missing, left = {}, {}
  for key in pairs(given) do
    local is_public = type(key) == "string" and not key:find "^_"
    if is_public and not is_defined(name, key) then missing[#missing + 1] = key end
  end
  for key in pairs(classes[name].functions) do
    if given[key] == nil then left[#left + 1] = key end
  end
  table.sort(missing)
  table.sort(left)
  assert.same({}, missing, name .. " has no definition of these")
  assert.same({}, left, name .. " defines what there is not")
end

describe("the definitions for editors", function()
  local texts = {}

  setup(function()
    for name in lfs.dir(DIRECTORY) do
      if name:find "%.lua$" then
        texts[name] = program.read(DIRECTORY .. "/" .. name)
        read_definitions(texts[name])
      end
    end
  end)

  it("are Lua, marked as definitions", function()
    local count = 0
    for name, text in pairs(texts) do
      assert.is_truthy(load(text, "=" .. name))
      assert.is_truthy(text:find "^%-%-%-@meta perilune", name)
      count = count + 1
    end
    assert.is_true(count > 10)
  end)

  for _, name in ipairs { "async", "http", "json", "log", "fs", "sqlite", "process", "crypto",
    "test" } do
    it("have all of perilune." .. name, function()
      local found, module = pcall(require, "perilune." .. name)
      local module_name = "perilune." .. name
      assert.is_table(classes[module_name])
      if not found then
        assert.is_truthy(tostring(module):find("module 'perilune%." .. name .. "' not found"))
        return
      end
      expect_same(module_name, module)
    end)
  end

  it("have all of perilune", function() expect_same("perilune", perilune) end)

  it("have the methods of apps, routers and responses", function()
    local names = {}
    local app_class = getmetatable(perilune.app {})
    for key, value in pairs(app_class) do
      if type(value) == "function" and not key:find "^__" then names[key] = true end
    end
    for key in pairs(names) do
      assert.is_true(is_defined("perilune.App", key), "perilune.App has no " .. key)
    end
    for key in pairs(getmetatable(perilune.router())) do
      assert.is_true(key:find "^__" ~= nil or is_defined("perilune.Router", key), key)
    end
    for key in pairs(getmetatable(perilune.html "")) do
      assert.is_true(key:find "^__" ~= nil or is_defined("perilune.Response", key), key)
    end
    for _, class in ipairs { "Recorder", "App" } do
      for key in pairs(classes["perilune." .. class].functions) do
        assert.is_true(names[key], "there is no app:" .. key)
      end
    end
  end)

  it("have the methods of test clients", function()
    for _, key in ipairs { "get", "post", "finish_tasks", "close" } do
      assert.is_true(is_defined("perilune.test.Client", key), key)
    end
  end)

  it("have the fields and methods of requests and tasks", function()
    for class, keys in pairs {
      Request = "method path target version scheme host url params query headers cookies body "
        .. "remote_addr id tasks context route query_all header_all json form form_all file files "
        .. "chunks is_disconnected once signed_cookie",
      Tasks = "schedule task find after_route after_response",
      Task = "id name fn args config status results error traceback attempt late response started "
        .. "progress wait cancel call",
      Loop = "on_start on_stop cancel_all stop",
    } do
      for key in keys:gmatch "%S+" do
        assert.is_true(is_defined("perilune." .. class, key), class .. " has no " .. key)
      end
    end
  end)
end)
