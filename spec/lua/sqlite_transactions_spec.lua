-- sqlite_transactions_spec.lua - perilune.sqlite in every place: transactions, cancels, writers.
--
-- The cases are functions in spec/apps/sqlite.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local places = require "support.places"
local site = require "support.site"

local client

setup(function() client = site.open "sqlite" end)
teardown(function() client:close() end)

for _, module in ipairs { "transactions", "cancels", "writes" } do
  places.describe(module, require("apps.sqlite." .. module), function() return client end)
end
