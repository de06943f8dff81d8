-- sqlite_transactions_spec.lua - perilune.sqlite in every place: transactions, cancels, many writers.
--
-- The cases are functions in spec/apps/sqlite.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local busted = require "busted"
local places = require "support.places"

places.describe(busted, "sqlite", { "transactions", "cancels", "writes" })
