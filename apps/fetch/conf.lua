-- conf.lua - where the services are (apps/services), unless PERILUNE_SETTINGS_SERVICES says else.
--
-- On one machine both are served: the services on port 8081, this one on 8080.

return { settings = { services = "http://127.0.0.1:8081" } }
