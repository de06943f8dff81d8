-- conf.lua - the settings of `perilune test spec`.
--
-- Specs of the wire and of the command line wait for sockets and processes on the event loop that
-- runs them, so that loop is not watched. The servers they start have settings of their own.

return { stall_warn = "off" }
