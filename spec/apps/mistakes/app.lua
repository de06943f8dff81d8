-- app.lua - what people who are new to it write wrong: options, results, what cannot cross.
--
-- `/typos` gives the messages of all option tables with one wrong name in each; those that are made
-- while the app loads are caught there.

local async = require "perilune.async"
local http = require "perilune.http"
local json = require "perilune.json"
local perilune = require "perilune"

local app = perilune.app { name = "mistakes" }
local messages = {}

local function nothing() end

local function try(name, fn, ...)
  local ok, err = pcall(fn, ...)
  messages[name] = ok and "no error" or tostring(err)
end

try("app", function() local _ = perilune.app { pool = {} } end)
try("pools", function() local _ = perilune.app { pools = { video = { thread = 2 } } } end)
try("task_defaults", function() local _ = perilune.app { task_defaults = { retry = 1 } } end)
try("router", function() local _ = perilune.router { prefx = "/a" } end)
try("group", function() app:group("/a", { midleware = {} }, nothing) end)
try("mount", function() app:mount("/a", { nam = "x" }, perilune.router {}) end)
try("route", function() app:get("/a", { timout = 1 }, nothing) end)
try("cors", function() app:cors { origin = "*" } end)
try("static", function() app:static("/a", ".", { maxage = 1 }) end)
try("blocking", function() local _ = perilune.blocking({ pol = "x" }, nothing) end)
try("background", function() local _ = perilune.background("x", { queu = 1 }, nothing) end)

local at_once = {
  response = function() local _ = perilune.response { stauts = 200 } end,
  stream = function() local _ = perilune.stream({ header = {} }, nothing) end,
  sse = function() local _ = perilune.sse({ keepalive = 1 }, nothing) end,
  file = function() local _ = perilune.file("app.lua", { maxage = 1 }) end,
  cookie = function() local _ = perilune.html("x"):cookie("a", "b", { httponly = true }) end,
  run_blocking = function() async.run_blocking({ timout = 1 }, nothing) end,
  map = function() async.map({}, nothing, { limt = 1 }) end,
  http = function() http.get("http://127.0.0.1:1/", { timout = 1 }) end,
  json = function() json.decode("1", { nul = true }) end,
  task = function() app.tasks:task { nme = "x" } end,
  backoff = function() app.tasks:task { backoff = { intial = 1 } } end,
}

app:get("/typos", function(req)
  for name, fn in pairs(at_once) do try(name, fn) end
  try("req:json", function() req:json { nul = true } end)
  return messages
end)

local echo = perilune.blocking(function(value) return value end)

app:get("/userdata", function() return echo { out = io.stdout } end)
app:get("/nil", function()
  local user = app.user
  return user
end)
app:get("/called", function(req) req.tasks:schedule(nothing()) end)
app:get("/late", function() app:get("/x", nothing) end)

return app
