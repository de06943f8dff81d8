-- app.lua - shows all of `req`: in a plain handler, in the pool, and after the request has ended.
--
-- /show and below answer everything that a request says; the same function is there as a blocking
-- handler under /blocking. /later keeps its req for a task, whose view of it /kept gives.

local perilune = require "perilune"
local async = require "perilune.async"
local json = require "perilune.json"

local app = perilune.app { name = "req" }

local function copy(map)
  local result = {}
  for key, value in pairs(map) do result[key] = value end
  return result
end

local function show(req)
  return {
    method = req.method, path = req.path, target = req.target, version = req.version,
    scheme = req.scheme, host = req.host, url = req.url, params = copy(req.params),
    query = copy(req.query), headers = copy(req.headers), body_bytes = #req.body, id = req.id,
    remote_addr = req.remote_addr, route = req.route, text = tostring(req),
  }
end

local function types(req)
  local result = {}
  for name, value in pairs(req.params) do
    result[name] = { math.type(value) or type(value), tostring(value) }
  end
  return result
end

local function lists(req)
  return {
    query = req:query_all "q", none = req:query_all "none",
    header = req:header_all "X-WORD", no_header = req:header_all "x-none",
  }
end

local function any_case(req)
  local headers = req.headers
  return { headers["x-word"] or false, headers["X-Word"] or false, headers["X-WORD"] or false,
    headers["x-none"] == nil, headers[1] == nil }
end

local function echo(req)
  return 200, req.body, { ["Content-Type"] = "application/octet-stream" }
end

local function same_tables(req)
  return { req.params == req.params, req.query == req.query, req.headers == req.headers }
end

local function read_json(req)
  local value = req:json()
  return { type = math.type(value) or type(value), text = json.encode(value) }
end

local function read_null(req)
  local value = req:json { null = true }
  return { is_null = value.a == perilune.null, text = json.encode(value) }
end

local function without_self(req)
  local failures = {}
  for _, method in ipairs { "json", "query_all", "header_all" } do
    local _, err = pcall(req[method], "q")
    failures[method] = tostring(err)
  end
  local _, err = pcall(req.json, req, { nul = true })
  failures.option = tostring(err)
  failures.unknown = tostring(req.unknown)
  failures.set = select(2, pcall(function() req.user = "ann" end))
  return failures
end

local function plain(fn) return fn end

for prefix, mark in pairs { [""] = plain, ["/blocking"] = perilune.blocking } do
  app:any(prefix .. "/show", mark(show))
  app:get(prefix .. "/show/{word}/{n:int}", mark(show))
  app:get(prefix .. "/int/{n:int}", mark(types))
  app:get(prefix .. "/float/{x:float}", mark(types))
  app:get(prefix .. "/word/{w}", mark(types))
  app:get(prefix .. "/rest/{p:path}", mark(types))
  app:get(prefix .. "/lists", mark(lists))
  app:get(prefix .. "/any_case", mark(any_case))
  app:post(prefix .. "/echo", mark(echo))
  app:get(prefix .. "/same", mark(same_tables))
  app:post(prefix .. "/json", mark(read_json))
  app:post(prefix .. "/null", mark(read_null))
  app:post(prefix .. "/self", mark(without_self))
end

local kept, gate

local function look_later(req)
  while not gate do async.checkpoint() end
  kept = show(req)
  kept.lists, kept.body = lists(req), req.body
end

app:post("/later", function(req)
  kept, gate = nil, false
  req.tasks:schedule(look_later, req)
  return req.id
end)

app:post("/open", function() gate = true end)

app:get("/kept", function() return kept or 404 end)

return app
