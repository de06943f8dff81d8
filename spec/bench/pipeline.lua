-- pipeline.lua - a wrk script: every write carries the request 16 times.
--
-- `wrk -s spec/bench/pipeline.lua URL`; wrk counts each of the 16 answers. The text is made once,
-- when wrk starts, so that no Lua runs in the load generator while it measures.

local wrk = wrk -- luacheck: globals wrk

local DEPTH = 16

local format = wrk.format

function wrk.format(...)
  return format(...):rep(DEPTH)
end
