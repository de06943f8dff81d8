-- shop.lua - an app of its own, mounted in another.
--
-- Brings a pool that its blocking route runs on.

local perilune = require "perilune"

local shop = perilune.app { name = "shop", pools = { till = { threads = 1 } } }

shop:get("", function() return "shop" end)
shop:get("/items/{name}", { name = "item" }, function(req)
  return { item = req.params.name, url = shop:url("item", req.params) }
end)
shop:post("/pay", perilune.blocking({ pool = "till" }, function() return "paid" end))

return shop
