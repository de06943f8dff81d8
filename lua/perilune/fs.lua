-- fs.lua - `require "perilune.fs"`: files and directories, which never block an event loop.
--
-- Most of it is C (src/lib/fs.c). Relative paths are relative to the app's directory; errors are of
-- kind "fs", with `code` ("ENOENT") and `path`.

local native = require "perilune.native.fs"
local watch = require "perilune.watch"

local fs = native.functions
fs.watch = watch.new

return fs
