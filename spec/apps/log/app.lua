-- app.lua - writes lines to the log with perilune.log, for log_spec.lua to read.
--
-- Each route writes one sort of line, plain and from the pool.

local async = require "perilune.async"
local json = require "perilune.json"
local perilune = require "perilune"
local log = require "perilune.log"

local app = perilune.app { name = "log" }

local lines = {
  level = function(req) log[req.query.level]("at " .. req.query.level) end,
  fields = function()
    log.info("with fields", { text = "two words", bare = "word", n = 7, x = 1.5, yes = true,
      empty = "", list = {}, null = perilune.null })
  end,
  hostile = function()
    log.info("first\n2026-01-01T00:00:00.000Z error forged", { ["a b=c"] = "x\ny=\"z\\",
      esc = "\27[31m", bytes = "\255\0" })
  end,
  values = function()
    local ring, deep, many = { name = "ring" }, {}, {}
    ring.self = ring
    local inner = deep
    for _ = 1, 20 do
      inner.next = {}
      inner = inner.next
    end
    for i = 1, 200 do many[i] = ("x"):rep(i) end
    log.info("with values", { b_list = { 1, 2.5, "x" }, c_map = { z = 1, a = { true } },
      d_ring = ring, e_deep = deep, f_many = many, g_file = io.stdout,
      h_mixed = { 1, 2, x = 3, [7.5] = 0 / 0 },
      i_bytes = { ["\255"] = "\0\27[31m" }, j_fn = { print }, k_null = { perilune.null },
      l_bad = setmetatable({}, { __tostring = function() error "told" end }),
      m_waits = setmetatable({}, { __tostring = function() return async.sleep(0) or "?" end }),
      n_err = select(2, pcall(json.decode, "{")), o_co = coroutine.create(print), p_empty = {} })
  end,
  misuse = function()
    local said = {}
    for i, call in ipairs {
      function() log.info() end, function() log.info {} end, function() log.info("x", "y") end,
      function() log.info("x", { "y" }) end, function() log:warn("x") end,
    } do said[i] = select(2, pcall(call)) end
    return said
  end,
  flood = function()
    for i = 1, 3000 do log.info(("flood "):rep(200), { i = i }) end
  end,
}

-- --- lines of tasks -----------------------------------------------------------------------------

local function note(what) log.info("note " .. what) end

local note_blocking = perilune.blocking(function(what) note(what) end)
local note_background = perilune.background("notes", function(what) note(what) end)

local function work(place)
  note(place .. " itself")
  async.gather({ note, place .. " child" }, { note_blocking, place .. " blocking" },
    { note_background, place .. " background" })
  local task = async.spawn(note, place .. " spawned")
  task:wait()
end

local work_blocking = perilune.blocking(function(place) work(place) end)

app:get("/tasks", function(req)
  note "handler"
  req.tasks:schedule(work, "plain")
  req.tasks:schedule(work_blocking, "pool")
  req.tasks:task({ name = "named", on_error = function() note "on_error" end }):schedule(function()
    note "named itself"
    error "fails"
  end)
  req.tasks:task({ name = "named_blocking" }):schedule(note_blocking, "named pool")
  return req.id
end)

for name, fn in pairs(lines) do
  local function handler(req)
    local result = fn(req)
    if result then return result end
    return req.id
  end
  app:get("/" .. name, handler)
  app:get("/blocking/" .. name, perilune.blocking({ name = name }, handler))
end

return app
