-- users.lua - a router that the app mounts in several places.
--
-- Its routes have names, so each mount gives them a prefix of its own.

local perilune = require "perilune"

local users = perilune.router { prefix = "/users" }

users:get("/", function(req) return { route = "users", pattern = req.route } end)
users:get("/{id:int}", { name = "user" }, function(req)
  return { route = "user", id = req.params.id }
end)

return users
