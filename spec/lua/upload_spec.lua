-- upload_spec.lua - how long the files of forms live, and where they can be saved and read.
--
-- spec/apps/forms runs as a process of its own and tells paths; this spec looks at the disk. Tasks
-- of the app wait at a gate: a file that the spec makes. Nothing is waited for but conditions.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local json = require "perilune.json"
local lfs = require "lfs"
local multipart = require "support.multipart"
local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local MIB = 1024 * 1024
local SMALL, LARGE = ("s"):rep(1000), ("l"):rep(3 * MIB)

local app
local gates = {}

setup(function() app = site.start "forms" end)
teardown(function() assert.equal(0, app:stop()) end)
after_each(function()
  while #gates > 0 do os.remove(table.remove(gates)) end
end)

local function exists(path) return lfs.attributes(path, "mode") ~= nil end

local function new_gate()
  local path = os.tmpname()
  os.remove(path)
  gates[#gates + 1] = path
  return path
end

local function open_gate(path) assert(io.open(path, "w")):close() end

local function form_of(content) return { { "f", content, filename = "f.bin" } } end

local function post(path, content, to)
  to = to or app
  local res = to:post(path, multipart.options(form_of(content)))
  assert.equal(200, res.status, res.body)
  return res:json()
end

local function until_gone(path)
  wait.wait_until(function() return not exists(path) end, nil, path .. " to be removed")
end

local function until_seen(path)
  return wait.wait_until(function()
    local res = app:get("/seen?path=" .. path)
    return res.status == 200 and res:json()
  end, nil, "the task of " .. path)
end

for name, content in pairs { small = SMALL, large = LARGE } do
  describe("the path of a " .. name .. " file", function()
    it("is a file during the request, and gone after it", function()
      local told = post("/path", content)
      assert.is_true(told.exists)
      assert.equal(told.path, told.again)
      until_gone(told.path)
    end)

    it("is a file until the last task has ended", function()
      local gate = new_gate()
      local path = post("/task?gate=" .. gate, content).path
      assert.is_true(exists(path))
      open_gate(gate)
      assert.same({ exists = true, size = #content }, until_seen(path))
      until_gone(path)
    end)

    it("is the same in a blocking task", function()
      local gate = new_gate()
      local path = post("/blocking_task?gate=" .. gate, content).path
      assert.is_true(exists(path))
      open_gate(gate)
      assert.same({ exists = true, size = #content, filename = "f.bin", path = path },
        until_seen(path))
      until_gone(path)
    end)

    it("can be asked for by a task first", function()
      local gate = new_gate()
      post("/late?gate=" .. gate, content)
      open_gate(gate)
      local told = until_seen(gate)
      assert.is_true(told.exists)
      assert.equal(#content, told.size)
      until_gone(told.path)
    end)

    it("is gone when the handler has failed", function()
      local res = app:post("/fail", multipart.options(form_of(content)))
      assert.equal(500, res.status)
      until_gone(app:post("/last_path"):json().path)
    end)

    it("is a file in a blocking handler", function()
      local told = post("/blocking/path", content)
      assert.is_true(told.exists)
      until_gone(told.path)
    end)

    it("comes back from a blocking function", function()
      local told = post("/from_pool", content)
      assert.is_true(told.exists)
      assert.equal(#content, told.size)
      until_gone(told.path)
    end)
  end)
end

describe("a file that was kept", function()
  it("can be read while it is in memory", function()
    until_gone(post("/keep", SMALL).path)
    assert.is_true(app:get("/kept"):json().ok)
  end)

  it("says that it is gone", function()
    until_gone(post("/keep", LARGE).path)
    local told = app:get("/kept"):json()
    assert.is_false(told.ok)
    assert.equal("fs", told.kind)
    assert.equal("the uploaded file is gone: it lives until the request and its tasks end",
      told.error)
  end)
end)

describe("temporary files", function()
  it("can be read by nobody else", function()
    local gate = new_gate()
    local path = post("/task?gate=" .. gate, LARGE).path
    assert.equal("rw-------", lfs.attributes(path, "permissions"))
    assert.equal("rwx------", lfs.attributes(path:match "^(.*)/", "permissions"))
    open_gate(gate)
    until_gone(path)
  end)

  --- Sends all of a form but its end, so that its file is open.
  local function begin(to, route)
    local body, content_type = multipart.encode(form_of(LARGE))
    local connection = raw.connect(to.port)
    local head = "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\nContent-Type: %s\r\n\r\n"
    connection:send(head:format(route, #body, content_type) .. body:sub(1, -100))
    return connection, body:sub(-99)
  end

  local function count_files(directory)
    local count = 0
    if not exists(directory) then return 0 end
    for name in lfs.dir(directory) do count = count + (name:sub(1, 1) == "." and 0 or 1) end
    return count
  end

  local function until_count(directory, count)
    wait.wait_until(function() return count_files(directory) == count end, nil,
      ("%d files in %s"):format(count, directory))
  end

  for _, route in ipairs { "/stream/tell", "/stream/blocking/tell" } do
    it("are removed when the client leaves, at " .. route, function()
      local path = post("/path", LARGE).path
      local directory = path:match "^(.*)/"
      until_count(directory, 0)
      local connection = begin(app, route)
      until_count(directory, 1)
      connection:reset()
      until_count(directory, 0)
    end)
  end

  it("are removed when the form is malformed in the end", function()
    local directory = post("/path", LARGE).path:match "^(.*)/"
    until_count(directory, 0)
    local connection = begin(app, "/stream/tell")
    until_count(directory, 1)
    connection:send(("x"):rep(99))
    assert.equal(400, connection:receive_response().status)
    connection:close()
    until_count(directory, 0)
  end)

  for _, signals in ipairs { { "TERM" }, { "TERM", "TERM" } } do
    local name = table.concat(signals, " and ")
    it("are removed with their directory by " .. name, function()
      local drain = #signals == 1 and "0.1" or "60"
      local other = site.start("forms", { "--drain-timeout", drain, "--shutdown-timeout", "61" })
      local directory = post("/path", LARGE, other).path:match "^(.*)/"
      until_count(directory, 0)
      local connection = begin(other, "/stream/tell")
      until_count(directory, 1)
      other:signal "TERM"
      wait.for_log(other, "stopping")
      local code = #signals == 1 and other:wait() or other:stop "TERM"
      connection:close()
      assert.equal(#signals == 1 and 0 or 1, code)
      assert.is_false(exists(directory))
    end)
  end
end)

describe("a form whose reader gives up", function()
  it("can be read on by the next", function()
    local body, content_type = multipart.encode { { "a", "1" }, { "f", LARGE, filename = "f" } }
    local gate = new_gate()
    local connection = raw.connect(app.port)
    connection:send(("POST /impatient?gate=%s HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
      .. "Content-Type: %s\r\n\r\n"):format(gate, #body, content_type) .. body:sub(1, 2 * MIB))
    wait.wait_until(function() return exists(gate) end, nil, "the reader to give up")
    connection:send(body:sub(2 * MIB + 1))
    local res = connection:receive_response()
    connection:close()
    assert.equal(200, res.status, res.body)
    local told = json.decode(res.body)
    assert.same({ in_time = false, kind = "timeout" }, { in_time = told.in_time, kind = told.kind })
    assert.same({ a = "1" }, told.told.form)
    assert.equal(#LARGE, told.told.files[1].size)
    assert.is_true(told.told.files[1].is_uniform)
  end)
end)

describe("file:save", function()
  local directory

  before_each(function() directory = program.make_directory() end)
  after_each(function() program.remove_directory(directory) end)

  for _, route in ipairs { "/save", "/blocking/save" } do
    for name, content in pairs { small = SMALL, large = LARGE, empty = "" } do
      it(("puts a %s file in its place, at %s"):format(name, route), function()
        local to = directory .. "/saved.bin"
        local told = post(("%s?to=%s"):format(route, to), content)
        assert.is_true(told.ok, told.result)
        assert.equal(to, told.result)
        assert.is_true(told.again)
        assert.equal(content, program.read(to))
        local plain = directory .. "/plain"
        assert(io.open(plain, "w")):close()
        assert.equal(lfs.attributes(plain, "permissions"), lfs.attributes(to, "permissions"))
      end)
    end
  end

  it("replaces what is there, as often as it is asked to", function()
    for _, content in ipairs { LARGE, SMALL } do
      local to = directory .. "/saved.bin"
      local told = post("/save_twice?to=" .. to, content)
      assert.same({ to, to, to .. ".2" }, told)
      assert.equal(content, program.read(to))
      assert.equal(content, program.read(to .. ".2"))
      local names = {}
      for name in lfs.dir(directory) do names[#names + 1] = name end
      table.sort(names)
      assert.same({ ".", "..", "saved.bin", "saved.bin.2" }, names)
    end
  end)

  it("copies to another file system", function()
    local other = lfs.attributes("/dev/shm", "mode") == "directory" and "/dev/shm"
    if not other or lfs.attributes(other, "dev") == lfs.attributes(directory, "dev") then
      pending "there is no other file system"
      return
    end
    local to = ("%s/%s"):format(other, directory:match "[^/]+$")
    local told = post("/save?to=" .. to, LARGE)
    local content = program.read(to)
    os.remove(to)
    assert.is_true(told.ok, told.result)
    assert.equal(LARGE, content)
  end)

  it("takes relative paths from the app's directory", function()
    local copy = program.make_directory { ["app.lua"] = program.read(site.dir "forms/app.lua") }
    local other = site.start_at(copy)
    local told = post("/save?to=here.bin", LARGE, other)
    assert.equal(0, other:stop())
    local content = program.read(copy .. "/here.bin")
    program.remove_directory(copy)
    assert.is_true(told.ok, told.result)
    assert.equal(LARGE, content)
  end)

  for name, content in pairs { small = SMALL, large = LARGE } do
    it(("raises why a %s file cannot be saved"):format(name), function()
      local told = post(("/save?to=%s/none/x"):format(directory), content)
      assert.is_false(told.ok)
      assert.equal("ENOENT", told.code)
      assert.equal(("cannot save the uploaded file as %s/none/x: no such file or directory")
        :format(directory), told.result)
      assert.equal("EISDIR", post("/save?to=" .. directory, content).code)
    end)
  end
end)

describe("a test client", function()
  it("removes the files of its requests", function()
    local client = site.open "forms"
    local ok, err = pcall(function()
      local told = post("/path", LARGE, client)
      assert.is_true(told.exists)
      until_gone(told.path)
    end)
    client:close()
    if not ok then error(err, 0) end
  end)
end)
