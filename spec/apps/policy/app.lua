-- app.lua - an app with app:headers and app:cors, and a route for each way of being answered.
--
-- cors_spec.lua asks for all of them, and for what no route answers.

local perilune = require "perilune"
local async = require "perilune.async"

local app = perilune.app { name = "policy" }

app:headers { ["X-Frame-Options"] = "SAMEORIGIN", Vary = "Accept-Language" }
app:headers { ["x-frame-options"] = "DENY", Link = { "</a>", "</b>" }, ["X-Number"] = 7 }
app:cors {
  origins = { "https://example.com", "https://*.example.org" }, methods = { "get", "PUT" },
  headers = { "X-Token" }, expose = "X-Total", credentials = true, max_age = 60,
}

app:get("/json", function() return { a = 1 } end)
app:get("/empty", function() return 204 end)
app:get("/error", function() error "boom" end)
app:get("/abort", function() perilune.abort(422, "no", { Vary = "X-Abort" }) end)
app:get("/redirect", function() return perilune.redirect "/json" end)
app:get("/blocking", perilune.blocking(function() return "text" end))
app:get("/file", function() return perilune.file "app.lua" end)
app:get("/stream", function()
  return perilune.stream(function(write)
    write "a"
    write "b"
  end)
end)
app:get("/sse", function() return perilune.sse(function(send) send { data = "a" } end) end)
app:get("/slow", { timeout = 0.01 }, function() async.sleep(60) end)
app:post("/limited", { max_body = 4 }, function() return 204 end)
app:get("/slashed/", function() return 204 end)

app:get("/own", function()
  return 200, "text", { ["X-FRAME-OPTIONS"] = "ALLOW", Vary = { "X-Own", "origin" } }
end)
app:get("/own_origin", function()
  return 200, "text", { ["Access-Control-Allow-Origin"] = "*" }
end)

app:get("/middle", { middleware = { function(_, proceed)
  local res = proceed()
  res:header("Link", "</c>")
  return res
end } }, function() return "text" end)

app:options("/options", function() return 200, "mine" end)

return app
