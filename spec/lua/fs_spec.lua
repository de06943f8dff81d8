-- fs_spec.lua - perilune.fs in every place that Lua code runs in.
--
-- The cases are in spec/apps/async. What depends on the app, its directory above all, stands at the
-- end, and so does what becomes of descriptors.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local fs = require "perilune.fs"
local places = require "support.places"
local site = require "support.site"
local test = require "perilune.test"
local wait = require "support.wait"

describe("fs", function()
  local client

  setup(function() client = site.open "async" end)
  teardown(function() client:close() end)

  for _, module in ipairs { "files", "handles" } do
    places.describe(module, require("apps.async." .. module), function() return client end)
  end
end)

describe("relative paths", function()
  local dir

  setup(function()
    dir = os.tmpname()
    os.remove(dir)
    fs.mkdir(dir)
    fs.write(dir .. "/data.txt", "of the app")
    fs.write(dir .. "/app.lua", [[
      local perilune = require "perilune"
      local fs = require "perilune.fs"
      local app = perilune.app { name = "relative" }
      local at_load = fs.read "data.txt"
      app:get("/loaded", function() return at_load end)
      app:get("/plain", function() return fs.read "data.txt" end)
      app:get("/blocking", perilune.blocking(function() return fs.read "data.txt" end))
      app:get("/background", perilune.background("x", function() return fs.read "data.txt" end))
      app:get("/missing", function() return fs.read "none.txt" end)
      app:on_error("fs", function(_, err) return 404, { err.code, err.path, err.message } end)
      return app
    ]])
  end)
  teardown(function() fs.remove(dir, { recursive = true }) end)

  it("are the app's, also while it loads", function()
    local client = test.client(dir)
    for _, place in ipairs { "loaded", "plain", "blocking", "background" } do
      assert.equal("of the app", client:get("/" .. place).body)
    end
    assert.equal('["ENOENT","none.txt","no such file or directory: none.txt"]',
      client:get("/missing").body)
    client:close()
  end)
end)

describe("an open file", function()
  it("stays in its state", function()
    local file <close> = fs.tempfile()
    local ok, err = pcall(async.run_blocking, function() return file end)
    assert.is_false(ok)
    assert.equal("transfer", err.kind)
    assert.match("upvalue file", err.message)
  end)
end)

--- How many descriptors the process has open.
local function count_descriptors()
  local count = 0
  for _ in fs.each "/proc/self/fd" do count = count + 1 end
  return count
end

describe("descriptors", function()
  it("are closed whatever ends an operation", function()
    local before = count_descriptors()
    for _ = 1, 20 do
      pcall(fs.read, "/")
      pcall(fs.copy, "/dev/zero", "/none/x")
      pcall(function()
        for name in fs.each "/" do error(name) end
      end)
      local task = async.spawn(fs.read, "/dev/zero", { max = "1g" })
      async.checkpoint()
      task:cancel()
      pcall(task.wait, task)
      pcall(async.timeout, 0, function() for _ in fs.each("/", { recursive = true }) do end end)
    end
    wait.wait_until(function() return count_descriptors() <= before end, nil, "closed descriptors")
  end)
end)
