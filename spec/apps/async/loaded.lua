-- loaded.lua - a module of places.lua that waits while it is loaded.
--
-- It calls what `places_waits` in package.loaded says and gives what that gives.

return { value = package.loaded.places_waits() }
