-- shop/init.lua - a module that is a directory.
--
-- Requires a sibling by its full name.

return { value = "shop of " .. require("models.user").name() }
