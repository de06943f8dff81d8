-- app.lua - cookies set on every kind of response, and read back.
--
-- /set takes name, value and options as JSON and says what became wrong; cookies_spec.lua looks at
-- the bytes.

local perilune = require "perilune"

local app = perilune.app { name = "cookies" }

local OLD, NEW = "an old secret of 24 bytes", "a new secret of 24 bytes"

local function read(req)
  local names = {}
  for name, value in pairs(req.cookies) do names[#names + 1] = { name = name, value = value } end
  table.sort(names, function(a, b) return a.name < b.name end)
  return { cookies = names }
end

app:get("/read", read)
app:get("/blocking/read", perilune.blocking(function(req) return read(req) end))

local function set(req)
  local wanted = req:json()
  local res = perilune.response { body = "set" }
  for _, each in ipairs(wanted) do
    local ok, err = pcall(res.cookie, res, each.name, each.value, each.options)
    if not ok then return 422, tostring(err) end
  end
  return res
end

app:post("/set", set)
app:post("/blocking/set", perilune.blocking(function(req) return set(req) end))

app:get("/on/html", function() return perilune.html("<p>"):cookie("a", "1") end)
app:get("/on/redirect", function() return perilune.redirect("/"):cookie("a", "1") end)
app:get("/on/file", function() return perilune.file "app.lua":cookie("a", "1") end)
app:get("/on/stream", function()
  return perilune.stream(function(write) write "x" end):cookie("a", "1")
end)
app:get("/on/sse", function()
  return perilune.sse(function(send) send { data = "x" } end):cookie("a", "1")
end)
app:get("/on/blocking", perilune.blocking(function()
  return perilune.response { body = "x" }:cookie("a", "1")
end))

app:get("/on/middleware", { middleware = { function(_, proceed)
  return proceed():cookie("a", "1")
end } }, function() return { plain = true } end)
app:get("/on/aborted", { middleware = { function(_, proceed)
  return proceed():cookie("a", "1")
end } }, function() perilune.abort(404) end)

local shared = { "raw=1" }
app:get("/on/own", function()
  return perilune.response { body = "x", headers = { ["set-cookie"] = shared } }:cookie("a", "1")
end)

local function signed_set(secret)
  return function(req)
    return perilune.response { body = "set" }:cookie("uid", req.query.value, { secret = secret })
  end
end
app:get("/sign/old", signed_set(OLD))
app:get("/sign/new", signed_set(NEW))
app:get("/sign/both", signed_set { NEW, OLD })
app:get("/blocking/sign/new", perilune.blocking(function(req)
  return perilune.response { body = "set" }:cookie("uid", req.query.value, { secret = NEW })
end))

local function signed_get(secret, name)
  return function(req) return { value = req:signed_cookie(name or "uid", secret) } end
end
app:get("/verify/old", signed_get(OLD))
app:get("/verify/new", signed_get(NEW))
app:get("/verify/both", signed_get { NEW, OLD })
app:get("/verify/other_name", signed_get(NEW, "other"))
app:get("/blocking/verify/new", perilune.blocking(function(req)
  return { value = req:signed_cookie("uid", NEW) }
end))

app:get("/wrong/short", function(req) return { req:signed_cookie("uid", "short") } end)
app:get("/wrong/none", function(req) return { req:signed_cookie("uid") } end)
app:get("/wrong/empty", function(req) return { req:signed_cookie("uid", {}) } end)
app:get("/wrong/second", function(req) return { req:signed_cookie("uid", { NEW, "short" }) } end)
app:get("/wrong/dot", function(req) return { req.signed_cookie("uid", NEW) } end)

return app
