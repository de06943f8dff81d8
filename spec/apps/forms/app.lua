-- app.lua - forms and their files, as handlers, tasks and blocking functions see them.
--
-- Routes say what they got as JSON. A task that is to outlive its response waits for a file to
-- appear at the path it was given.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "forms", pools = { default = { threads = 2 } } }
local blocking = perilune.blocking

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function describe(file)
  return {
    name = file.name, filename = file.filename, content_type = file.content_type,
    size = file.size,
  }
end

--- All of a form; of large contents only whether they are one byte over and over.
local function tell(req)
  local files = {}
  for i, file in ipairs(req:files()) do
    local told = describe(file)
    local content = file:read()
    told.content = #content <= 1000 and content or nil
    told.is_uniform = content == content:sub(1, 1):rep(#content)
    files[i] = told
  end
  return { form = req:form(), files = require("perilune.json").array(files) }
end

app:post("/tell", tell)
app:get("/tell", tell)
app:post("/blocking/tell", blocking(tell))
app:post("/stream/tell", { stream_body = true, max_body = "20m" }, tell)
app:post("/stream/blocking/tell", { stream_body = true, max_body = "20m" }, blocking(tell))
app:post("/large/tell", { max_body = "40m" }, tell)

app:post("/all/{name}", function(req) return req:form_all(req.params.name) end)
app:post("/file/{name}", function(req)
  local file = req:file(req.params.name)
  return { found = file ~= nil, filename = file and file.filename, text = tostring(file) }
end)
app:post("/same", function(req)
  return { form = req:form() == req:form(), files = req:files() == req:files() }
end)
app:post("/misuse/{what}", function(req)
  local uses = {
    dot = function() return req.form() end,
    no_name = function() return req:file() end,
    save_dot = function() return req:file("f").save("x") end,
    save_nul = function() return req:file("f"):save("a\0b") end,
  }
  local ok, err = pcall(uses[req.params.what])
  return { ok = ok, error = tostring(err) }
end)

-- Many ask for one form at the same time.
app:post("/together", function(req)
  local function sizes() return #req:files() .. " " .. req:file("f").size end
  return async.gather { sizes, sizes, sizes }
end)

-- The first one who asks gives up.
app:post("/impatient", { stream_body = true, max_body = "20m" }, function(req)
  local ok, err = pcall(async.timeout, 0.01, function() return req:form() end)
  assert(io.open(req.query.gate, "w")):close()
  return { in_time = ok, kind = not ok and err.kind or nil, told = tell(req) }
end)

-- --- files that live as long as the request -----------------------------------------------------

local paths = {}
local function file_of(req)
  local file = req:file "f"
  paths[#paths + 1] = file.path
  return file
end

app:post("/path", function(req)
  local file = file_of(req)
  return { path = file.path, again = file.path, exists = exists(file.path) }
end)

--- What a task saw, by the path of its file.
local seen = {}
app:post("/task", function(req)
  local file = file_of(req)
  req.tasks.after_response:schedule(function(gate)
    while not exists(gate) do async.sleep(0.001) end
    seen[file.path] = { exists = exists(file.path), size = #file:read() }
  end, req.query.gate)
  return { path = file.path }
end)

local measure = blocking(function(file, gate)
  while not exists(gate) do async.sleep(0.001) end
  local on_disk = exists(file.path)
  return { exists = on_disk, size = #file:read(), filename = file.filename, path = file.path }
end)
app:post("/blocking_task", function(req)
  local file = file_of(req)
  local task = req.tasks.after_response:schedule(measure, file, req.query.gate)
  req.tasks:schedule(function() seen[file.path] = task:wait() end)
  return { path = file.path }
end)

-- The form is read for the first time by a task.
app:post("/late", function(req)
  local mark = req.query.gate
  req.tasks.after_response:schedule(function()
    while not exists(mark) do async.sleep(0.001) end
    local file = req:file "f"
    seen[mark] = { path = file.path, exists = exists(file.path), size = file.size }
  end)
  return { ok = true }
end)

app:get("/seen", function(req) return seen[req.query.path] or 404 end)
app:get("/exists", function(req) return { exists = exists(req.query.path) } end)

local kept
app:post("/keep", function(req)
  kept = file_of(req)
  return { path = kept.path }
end)
app:get("/kept", function()
  local ok, err = pcall(kept.read, kept)
  return { ok = ok, kind = not ok and err.kind or nil, error = not ok and tostring(err) or nil }
end)

app:post("/fail", function(req)
  req.tasks:schedule(function() end)
  error("failed with " .. file_of(req).path)
end)
app:post("/last_path", function() return { path = paths[#paths] } end)

-- Where a blocking handler's file is, and what there is of it once the handler has returned.
app:post("/blocking/path", blocking(function(req)
  local file = req:file "f"
  return { path = file.path, exists = exists(file.path) }
end))
local find_files = blocking(function(req) return req:files() end)
app:post("/from_pool", function(req)
  local file = find_files(req)[1]
  return { path = file.path, exists = exists(file.path), size = #file:read() }
end)

-- --- saving -------------------------------------------------------------------------------------

local function save(req)
  local file = req:file "f"
  local ok, result = pcall(file.save, file, req.query.to)
  local code = not ok and type(result) == "table" and result.code or nil
  return { ok = ok, result = tostring(result), code = code, again = file:read() == file:read() }
end
app:post("/save", save)
app:post("/blocking/save", blocking(save))
app:post("/save_twice", function(req)
  local file = req:file "f"
  return { file:save(req.query.to), file:save(req.query.to), file:save(req.query.to .. ".2") }
end)

return app
