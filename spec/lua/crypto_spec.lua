-- crypto_spec.lua - perilune.crypto in every place that Lua code runs in.
--
-- The cases are in spec/apps/async/crypto.lua. What hashing a password must not do, hold an event
-- loop, is shown here.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local crypto = require "perilune.crypto"
local places = require "support.places"
local site = require "support.site"

describe("crypto", function()
  local client

  setup(function() client = site.open "async" end)
  teardown(function() client:close() end)

  places.describe("crypto", require "apps.async.crypto", function() return client end)
end)

describe("hashing a password", function()
  it("lets other tasks run", function()
    local turns = 0
    local task = async.spawn(crypto.password_hash, "secret")
    while task.status ~= "done" do
      async.checkpoint()
      turns = turns + 1
    end
    assert.is_true(turns > 10)
    assert.match("^%$scrypt%$ln=15,r=8,p=1%$", task:wait())
  end)
end)
