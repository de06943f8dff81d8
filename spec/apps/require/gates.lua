-- gates.lua - what modules note while they load, and what they wait for.
--
-- Filled and opened by require_spec.lua.

return { open = {}, runs = {} }
