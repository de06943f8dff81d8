-- .luacheckrc - what `luacheck lua apps spec` holds the Lua code against.
--
-- Lua 5.4 with no globals of our own. Specs see busted's words; nothing else is let through.
-- luacheck reads these assignments as its options.

std = "lua54"
max_line_length = 100

files["spec/**/*_spec.lua"] = { std = "+busted" }
files["apps/*/spec/**/*_spec.lua"] = { std = "+busted" }
files["lua/perilune/cli/new_app/spec/*_spec.lua"] = { std = "+busted" }
files["lua/perilune/types/*.lua"] = { ignore = { "211", "212", "221", "241" } } -- definitions only
