-- lua_cjson.lua - lua-cjson, in Lua's own interpreter.
--
--   lua5.4 spec/bench/json/lua_cjson.lua NAME FILE SECONDS
--
-- Prints a line for each figure. The collector is set to what a state of Perilune has
-- (incremental); the interpreter would choose another.

package.path = arg[0]:match "^(.*)/[^/]+$" .. "/?.lua"
collectgarbage "incremental"

local measure = require "measure"

io.write(measure.text(require "cjson", arg[1], arg[2], tonumber(arg[3])))
