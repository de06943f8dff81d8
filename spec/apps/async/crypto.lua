-- crypto.lua - cases of perilune.crypto, by name; as waits.lua.
--
-- Digests, MACs, encodings and password hashes against the vectors of their standards, and what
-- happens to what is none. Hashing a password here costs as little as it may.

local assert = require "luassert"
local async = require "perilune.async"
local crypto = require "perilune.crypto"

local prefix = (...):match "^(.-)%w+$"
local expect = require(prefix .. "expect")

local misuse, fails_with = expect.misuse, expect.fails_with

local cases = {}

local cheap = { ln = 10, r = 1 }

local function bytes(hex) return crypto.hex_decode((hex:gsub("%s", ""))) end

-- --- digests and MACs ---------------------------------------------------------------------------

cases["hash gives the digests of abc"] = function()
  local digests = {
    md5 = "900150983cd24fb0d6963f7d28e17f72",
    sha1 = "a9993e364706816aba3e25717850c26c9cd0d89d",
    sha224 = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    sha384 = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed"
      .. "8086072ba1e7cc2358baeca134c825a7",
    sha512 = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
      .. "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ["sha512-256"] = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
    ["sha3-256"] = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    ["sha3-384"] = "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"
      .. "98d88cea927ac7f539f1edf228376d25",
    ["sha3-512"] = "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
      .. "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
    blake2s256 = "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982",
    blake2b512 = "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
      .. "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923",
  }
  for name, digest in pairs(digests) do
    assert.equal(digest, crypto.hash(name, "abc"), name)
    assert.equal(digest, crypto.hasher(name):update("a"):update(""):update("bc"):digest())
  end
end

cases["hash gives bytes and other encodings when asked"] = function()
  local raw = bytes "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
  assert.equal(raw, crypto.hash("sha256", "", { encoding = "raw" }))
  assert.equal("47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    crypto.hash("sha256", "", { encoding = "base64" }))
  assert.equal("47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
    crypto.hash("sha256", "", { encoding = "base64url" }))
  assert.equal(raw, crypto.hasher("sha256"):digest { encoding = "raw" })
end

cases["much data is hashed aside, with the same result"] = function()
  local text = ("a"):rep(1000000)
  local digest = "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
  assert.equal(digest, crypto.hash("sha256", text))
  local mac = crypto.hmac("sha256", "key", text)
  assert.equal(digest, (string.gsub("x", "x", function() return crypto.hash("sha256", text) end)))
  assert.equal(mac, (string.gsub("x", "x", function()
    return crypto.hmac("sha256", "key", text)
  end)))
  local results = async.gather({ crypto.hash, "sha256", text }, { crypto.hash, "sha256", text })
  assert.equal(digest, results)
end

cases["hmac gives what RFC 4231 says"] = function()
  local aa = ("\xaa"):rep(131)
  local vectors = {
    { ("\x0b"):rep(20), "Hi There",
      "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        .. "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854" },
    { "Jefe", "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        .. "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737" },
    { ("\xaa"):rep(20), ("\xdd"):rep(50),
      "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
      "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
        .. "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb" },
    { bytes "0102030405060708090a0b0c0d0e0f10111213141516171819", ("\xcd"):rep(50),
      "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
      "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
        .. "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd" },
    { aa, "Test Using Larger Than Block-Size Key - Hash Key First",
      "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        .. "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598" },
    { aa, "This is a test using a larger than block-size key and a larger than block-size data. "
        .. "The key needs to be hashed before being used by the HMAC algorithm.",
      "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
      "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        .. "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58" },
  }
  for _, vector in ipairs(vectors) do
    assert.equal(vector[3], crypto.hmac("sha256", vector[1], vector[2]))
    assert.equal(vector[4], crypto.hmac("sha512", vector[1], vector[2]))
  end
  assert.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad",
    crypto.hmac("sha256", "", ""))
end

-- --- encodings ----------------------------------------------------------------------------------

cases["base64 is that of RFC 4648"] = function()
  local vectors = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==",
    fooba = "Zm9vYmE=", foobar = "Zm9vYmFy" }
  for text, encoded in pairs(vectors) do
    local bare = encoded:gsub("=", "")
    assert.equal(encoded, crypto.base64(text))
    assert.equal(bare, crypto.base64(text, { pad = false }))
    assert.equal(bare, crypto.base64(text, { url = true }))
    assert.equal(encoded, crypto.base64(text, { url = true, pad = true }))
    assert.equal(text, crypto.base64_decode(encoded))
    assert.equal(text, crypto.base64_decode(bare, { pad = false }))
    assert.equal(text, crypto.base64_decode(bare, { url = true }))
    assert.equal(text, crypto.base64_decode(encoded, { url = true }))
  end
  assert.equal("+/+/", crypto.base64 "\xfb\xff\xbf")
  assert.equal("-_-_", crypto.base64("\xfb\xff\xbf", { url = true }))
end

cases["any bytes come back from base64 and hex"] = function()
  for length = 0, 70 do
    local text = crypto.random(length)
    assert.equal(text, crypto.base64_decode(crypto.base64(text)))
    assert.equal(text, crypto.base64_decode(crypto.base64(text, { url = true }), { url = true }))
    assert.equal(text, crypto.hex_decode(crypto.hex(text)))
    assert.equal(text, crypto.hex_decode(crypto.hex(text):upper()))
  end
end

cases["what is no base64 is refused, and told where"] = function()
  local function wrong(part, text, options)
    assert.match(part, tostring(fails_with("crypto", crypto.base64_decode, text, options)))
  end
  wrong("not base64: byte 3 is wrong", "Zm-v")
  wrong("not base64: byte 5 is wrong", "Zm9v\nZm9v")
  wrong("not base64: byte 1 is wrong", " Zm9v")
  wrong("not base64: byte 1 is wrong", "====")
  wrong("not base64: byte 2 is wrong", "Z===")
  wrong("not base64: byte 2 is wrong", "Zh==")
  wrong("not base64: byte 3 is wrong", "Zm9=")
  wrong("not base64: byte 3 is wrong", "Zg==Zg==")
  for _, text in ipairs { "Zg", "Zg=", "Zm8", "Z", "=", "Zm9vZ" } do
    wrong("not base64: %d bytes are too few or too many", text)
  end
  wrong("not base64url: byte 3 is wrong", "Zm+v", { url = true })
  wrong("not base64url: 3 bytes are too few or too many", "Zg=", { url = true })
  wrong("not base64url: 4 bytes are too few or too many", "Zg==", { url = true, pad = false })
  wrong("not base64url: 2 bytes are too few or too many", "Zg", { url = true, pad = true })
  wrong("not base64: 4 bytes are too few or too many", "Zg==", { pad = false })
end

cases["hex is digits in either case, two for a byte"] = function()
  assert.equal("00ff1a", crypto.hex "\0\xff\x1a")
  assert.equal("\0\xff\x1a", crypto.hex_decode "00Ff1A")
  assert.match("not hex: byte 2 is wrong", tostring(fails_with("crypto", crypto.hex_decode, "0g")))
  assert.match("not hex: 3 bytes are too few or too many",
    tostring(fails_with("crypto", crypto.hex_decode, "00f")))
end

-- --- random bytes and comparing -----------------------------------------------------------------

cases["random gives bytes that are new each time"] = function()
  assert.equal(0, #crypto.random(0))
  assert.equal(1000000, #crypto.random(1000000))
  assert.not_equal(crypto.random(16), crypto.random(16))
  assert.match("^%x+$", crypto.random(16, { encoding = "hex" }))
  assert.equal(22, #crypto.random(16, { encoding = "base64url" }))
end

cases["uuid gives random ones of version 4"] = function()
  local seen = {}
  for _ = 1, 100 do
    local uuid = crypto.uuid()
    assert.match("^%x%x%x%x%x%x%x%x%-%x%x%x%x%-4%x%x%x%-[89ab]%x%x%x%-" .. ("%x"):rep(12) .. "$",
      uuid)
    assert.is_nil(seen[uuid])
    seen[uuid] = true
  end
end

cases["equal compares bytes"] = function()
  assert.is_true(crypto.equal("", ""))
  assert.is_true(crypto.equal("a\0b", "a\0b"))
  assert.is_false(crypto.equal("a\0b", "a\0c"))
  assert.is_false(crypto.equal("abc", "abcd"))
  assert.is_false(crypto.equal("", "a"))
end

-- --- passwords ----------------------------------------------------------------------------------

cases["a password is verified against its hash"] = function()
  local hash = crypto.password_hash("secret", cheap)
  assert.match("^%$scrypt%$ln=10,r=1,p=1%$[%w+/]+%$[%w+/]+$", hash)
  assert.is_true(crypto.password_verify("secret", hash))
  assert.is_false(crypto.password_verify("Secret", hash))
  assert.is_false(crypto.password_verify("", hash))
  assert.not_equal(hash, crypto.password_hash("secret", cheap))
  local odd = crypto.password_hash("a\0b\xff", cheap)
  assert.is_true(crypto.password_verify("a\0b\xff", odd))
  assert.is_false(crypto.password_verify("a", odd))
  assert.is_false(crypto.password_verify(("x"):rep(5000), hash))
  assert.is_true(crypto.password_verify("", "$scrypt$ln=4,r=1,p=1$$" -- RFC 7914 12
    .. "d9ZXYjhleyA7GcpCwYoEl/FrSETjB0ro39/6P+3iFEL80Aad7QlI+DJqdToPyB8X6NPg+y4NNijPNeIMONGJBg"))
end

cases["several passwords are hashed at once, and a wait for one can end"] = function()
  local hashes = async.map({ "a", "b", "c" }, function(password)
    return crypto.password_hash(password, cheap)
  end)
  for i, password in ipairs { "a", "b", "c" } do
    assert.is_true(crypto.password_verify(password, hashes[i]))
  end
  local task = async.spawn(crypto.password_hash, "x", { ln = 14 })
  async.checkpoint()
  task:cancel()
  local ok, result = pcall(task.wait, task)
  assert.is_true(ok or result.kind == "cancelled")
  fails_with("timeout", async.timeout, 0, crypto.password_verify, "a", hashes[1])
end

cases["what is no password hash is refused, and one that costs too much"] = function()
  local salt = "c2FsdHNhbHRzYWx0c2FsdA"
  local hash = ("A"):rep(43)
  assert.is_false(crypto.password_verify("x", ("$scrypt$ln=4,r=1,p=1$%s$%s"):format(salt, hash)))
  for _, text in ipairs {
    "", "x", "$scrypt$", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
    "$scrypt$ln=4,r=1$" .. salt .. "$" .. hash, "$scrypt$ln=0,r=1,p=1$" .. salt .. "$" .. hash,
    "$scrypt$ln=04,r=1,p=1$" .. salt .. "$" .. hash,
    "$scrypt$ln=25,r=1,p=1$" .. salt .. "$" .. hash,
    "$scrypt$ln=9999999999,r=1,p=1$" .. salt .. "$" .. hash,
    "$scrypt$ln=4,r=1,p=1$" .. salt .. "$AAAA", "$scrypt$ln=4,r=1,p=1$" .. salt,
    "$scrypt$ln=4,r=1,p=1$" .. salt .. "$" .. hash .. "$",
    "$scrypt$ln=4,r=1,p=1$" .. salt .. "$" .. hash .. "\0",
    "$scrypt$ln=4,r=1,p=1$" .. salt .. "$" .. hash .. "=",
    "$scrypt$ln=4,r=1,p=1$" .. ("A"):rep(400) .. "$" .. hash,
  } do
    assert.match("not a password hash", tostring(fails_with("crypto", crypto.password_verify, "x",
      text)))
  end
  for _, parameters in ipairs { "ln=24,r=1,p=1", "ln=20,r=8,p=1", "ln=17,r=8,p=16" } do
    assert.match("asks for more memory or time than is allowed",
      tostring(fails_with("crypto", crypto.password_verify, "x",
        ("$scrypt$%s$%s$%s"):format(parameters, salt, hash))))
  end
end

-- --- misuse -------------------------------------------------------------------------------------

cases["misuse of crypto is told at the caller's line"] = function()
  local err = misuse('unknown digest "sha265" (did you mean "sha256"?): there are sha256, sha384',
    function() crypto.hash("sha265", "x") end)
  assert.match("crypto%.lua:%d+: ", err)
  misuse('unknown digest "SHA256"', crypto.hmac, "SHA256", "k", "x")
  misuse("string expected, got table", crypto.hash, crypto, "sha256", "x")
  misuse("string expected, got nil", crypto.hash, "sha256")
  misuse("string expected, got nil", crypto.hmac, "sha256", "key")
  misuse("string expected, got number", crypto.base64, 7)
  misuse("string expected, got no value", crypto.equal, "x")
  misuse('unknown option "encode" (did you mean "encoding"?)', crypto.hash, "md5", "",
    { encode = "raw" })
  misuse('option "encoding" is "raw", "hex", "base64" or "base64url", not "bin"', crypto.hash,
    "md5", "", { encoding = "bin" })
  misuse('option "url" is true or false, not 1', crypto.base64, "", { url = 1 })
  misuse("a number of bytes from 0 to 1048576 expected, got -1", crypto.random, -1)
  misuse("a number of bytes from 0 to 1048576 expected, got 1048577", crypto.random, 1048577)
  misuse("a password has at most 4096 bytes", crypto.password_hash, ("x"):rep(4097))
  misuse('option "ln" is a whole number from 10 to 20, not 9', crypto.password_hash, "x",
    { ln = 9 })
  misuse('option "r" is a whole number from 1 to 64, not 1.5', crypto.password_hash, "x",
    { r = 1.5 })
  misuse("ln=20, r=8 and p=1 take more memory or time than is allowed", crypto.password_hash, "x",
    { ln = 20 })
  local hasher = crypto.hasher "sha256"
  misuse("use a colon (hasher:update)", hasher.update, "x")
  hasher:digest()
  misuse("hasher:digest: the digest was taken already", hasher.digest, hasher)
  misuse("hasher:update: the digest was taken already", hasher.update, hasher, "x")
  misuse("crypto.password_hash cannot wait inside 'string.gsub'", string.gsub, "x", "x", function()
    crypto.password_hash("x", cheap)
  end)
end

return cases
