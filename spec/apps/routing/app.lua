-- app.lua - routes in groups, routers and mounts, and their URLs; routing_spec.lua asks for them.
--
-- Every handler says which it is and what it got; /url/NAME and /blocking/url/NAME give the URL of
-- a route as the app sees it on the event loop and on a pool thread.

local perilune = require "perilune"
local shop = require "shop"
local users = require "users"

local app = perilune.app { name = "routing", pools = { video = { threads = 1 } } }

local function says(name)
  return function(req) return { route = name, pattern = req.route, params = req.params } end
end

app:get("/", { name = "home" }, says "home")
app:get("/exact", { name = "exact" }, says "exact")
app:get("/slash/", says "slash")

app:group("/admin", function(g)
  g:get("/", { name = "admin" }, says "admin")
  g:post("", says "admin post")
  g:get("/{what}", says "admin parameter")
  g:get("/static", says "admin static")
  g:get("/{rest:path}", says "admin rest")
  g:group("/deep", function(deep)
    deep:get("", says "deep")
    deep:any("/any", says "any")
  end)
  g:mount("/users", { name = "admins" }, users)
end)

app:group("/{tenant:int}", { max_body = 10, timeout = 30 }, function(g)
  g:get("", says "tenant")
  g:post("/small", says "small")
  g:post("/large", { max_body = "1k" }, says "large")
end)

app:mount("/v1", { name = "v1" }, users)
app:mount("/v2", { name = "v2" }, users)
app:mount("/shop", shop)
app:mount("/", perilune.router { prefix = "/bare" })

app:route({ "PUT", "patch" }, "/several", says "several")

app:get("/kinds/{i:int}/{f:float}/{u:uuid}/{t}/{p:path}", { name = "kinds" }, says "kinds")
app:get("/lit eral/{t}/t@il", { name = "literal" }, says "literal")

local wanted = {
  home = { "home" },
  admin = { "admin" },
  v1 = { "v1.user", { id = 7 } },
  v2 = { "v2.user", { id = "8" } },
  admins = { "admins.user", { id = 9.0 } },
  text = { "literal", { t = "ä/?#%" } },
  number = { "literal", { t = 1.5 } },
  query = { "home", nil, { b = { 1, "zwei", true }, a = "x y&=+/", ["c d"] = 0.1, e = "" } },
  shop = { "item", { name = "Tee" } },
}

local function build(req)
  local arguments = wanted[req.params.name]
  return app:url(arguments[1], arguments[2], arguments[3])
end

app:get("/url/{name}", build)
app:get("/blocking/url/{name}", perilune.blocking(build))
app:get("/shop-url", function() return shop:url("item", { name = "Tee" }) end)

app.users, app.shop = users, shop

users:get("/late", says "late")

return app
