-- files - directories served without Lua, and handlers that answer with files.
--
-- For spec/lua/static_spec.lua, file_response_spec.lua and download_spec.lua, which put it into a
-- directory with files to serve (spec/support/files_site.lua).

local perilune = require "perilune"

local app = perilune.app { name = "files" }
local seen = {}

app:get("/seen", function() return seen end)

app:get("/route.txt", function() return "the route" end)
app:post("/posted.txt", function() return "posted" end)
app:get("/docs/", function() return "the docs' route" end)

app:static("/assets", "assets", { max_age = 3600, immutable = true })
app:static("/assets/inner", "inner", { headers = { ["X-Mount"] = { "inner", "twice" } } })
app:static("/dotted/", "public", { dotfiles = true })

local mounted = perilune.app {}
mounted:static("/files", "inner")
app:mount("/mounted", mounted)

app:on_status(404, function(req) return 404, "nothing at " .. req.path end)

local options = {
  plain = {}, attachment = { download = true }, named = { filename = "report 1.txt" },
  download_named = { download = "né \"x\".txt" }, inline = { filename = "a.txt", download = false },
  typed = { content_type = "text/x-special; charset=utf-8" }, kept = { max_age = 60 },
  page = { status = 404 }, empty = { status = 204 },
  tagged = { headers = { ETag = '"mine"', ["Last-Modified"] = "Sun, 06 Nov 1994 08:49:37 GMT" } },
  headers = { headers = { ["Set-Cookie"] = { "a=1", "b=2" }, Vary = "Cookie" } },
  rooted = { root = "public" },
  encoded = { headers = { ["Content-Encoding"] = "identity" } },
  untransformed = { headers = { ["Cache-Control"] = "no-transform" } },
  typed_json = { content_type = "application/json" },
}

local function answer(req)
  return perilune.file(req.query.path, options[req.query.options or "plain"])
end

app:get("/file", answer)
app:post("/file", answer)
app:get("/blocking", perilune.blocking(answer))

app:group("/wrapped", function(group)
  group:use(function(_, proceed)
    local response = proceed()
    seen.wrapped = { status = response.status, has_body = response.body ~= nil }
    return response:header("X-Wrapped", "yes")
  end)
  group:get("/file", answer)
end)

app:get("/noted", function(req)
  local response = answer(req)
  req.tasks.after_response:schedule(function() seen.delivered = response.delivered end)
  return response
end)

return app
