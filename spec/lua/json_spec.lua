-- json_spec.lua - perilune.json as Lua code sees it.
--
-- encode, decode, null and array, the round trip between them, and errors that name the path or the
-- place. What the C functions do byte by byte is json_spec.c's.

local json = require "perilune.json"
local perilune = require "perilune"

local function fails(said, fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok)
  assert.equal("json", err.kind)
  assert.is_truthy(tostring(err):find(said, 1, true), tostring(err))
end

describe("json.encode", function()
  it("writes every kind of value", function()
    local cases = {
      { "null", perilune.null }, { "true", true }, { "false", false }, { "0", 0 }, { "-7", -7 },
      { "9223372036854775807", math.maxinteger }, { "-9223372036854775808", math.mininteger },
      { "5.0", 5.0 }, { "0.1", 0.1 }, { "-0.0", -0.0 }, { '"text"', "text" }, { '""', "" },
      { '"ä€😀"', "ä€😀" }, { "{}", {} }, { "[1,2,3]", { 1, 2, 3 } }, { '{"a":1}', { a = 1 } },
      { "[]", json.array {} }, { '[{"a":[null]}]', { { a = { json.null } } } },
    }
    for _, case in ipairs(cases) do assert.equal(case[1], json.encode(case[2])) end
  end)

  it("escapes what JSON must", function()
    local text = "\"\\\b\f\n\r\t\0\31/\127"
    assert.equal([["\"\\\b\f\n\r\t\u0000\u001f/]] .. "\127\"", json.encode(text))
  end)

  it("keeps floats apart from integers, and exact", function()
    for _, x in ipairs { 1e15, 1e16, 1e300, 5e-324, 2^53, 1 / 3, 123456.789, -1.5e-7 } do
      local back = json.decode(json.encode(x))
      assert.equal(x, back)
      assert.equal("float", math.type(back))
    end
  end)

  it("refuses what has no JSON form, with the path", function()
    fails("nil has no JSON form", json.encode, nil)
    fails("value.a[2].b", json.encode, { a = { 1, { b = print } } })
    fails("value[1]: the string is not valid UTF-8", json.encode, { "\xC0\x80" })
    fails("a table with both strings and numbers", json.encode, { 1, a = 2 })
    fails("value[1]", json.encode, { 0 / 0 })
    fails("value.x", json.encode, { x = math.huge })
    fails("cannot encode value", json.encode, { 1, nil, 3 })
    fails("cannot encode value", json.encode, { [1.5] = 1 })
    fails("value.ring", json.encode, (function()
      local t = {}
      t.ring = t
      return t
    end)())
  end)
end)

describe("json.encode with options", function()
  local value = { b = { 1, { y = {}, x = "x,}" } }, a = json.array {}, ab = true, ["\u{E4}"] = 1,
    B = { { q = 1, p = 2 }, { q = 3, p = 4 } }, [""] = 0 }

  it("writes keys in the order of their bytes", function()
    assert.equal('{"":0,"B":[{"p":2,"q":1},{"p":4,"q":3}],"a":[],"ab":true,'
      .. '"b":[1,{"x":"x,}","y":{}}],"\u{E4}":1}', json.encode(value, { sort_keys = true }))
    local many, expected = {}, {}
    for i = 1, 2000 do
      many[("k%04d"):format(i)] = { z = i, a = i }
      expected[i] = ('"k%04d":{"a":%d,"z":%d}'):format(i, i, i)
    end
    assert.equal("{" .. table.concat(expected, ",") .. "}",
      json.encode(many, { sort_keys = true }))
  end)

  it("writes items on lines of their own", function()
    assert.equal([[
{
  "": 0,
  "B": [
    {
      "p": 2,
      "q": 1
    },
    {
      "p": 4,
      "q": 3
    }
  ],
  "a": [],
  "ab": true,
  "b": [
    1,
    {
      "x": "x,}",
      "y": {}
    }
  ],
  "ä": 1
}]], json.encode(value, { sort_keys = true, indent = 2 }))
    assert.equal("[\n null,\n 2\n]", json.encode(json.array { nil, 2, n = 2 }, { indent = 1 }))
    assert.equal("7", json.encode(7, { indent = 4 }))
    assert.equal("[1]", json.encode({ 1 }, { indent = 0 }))
    assert.same(value, json.decode(json.encode(value, { indent = 3 })))
  end)

  it("goes on after an error, with keys of any bytes", function()
    fails("value.a.b", json.encode, { a = { b = print, c = 1 } }, { sort_keys = true })
    assert.equal('{"a":1,"a\\u0000":2,"ab":3}',
      json.encode({ ["a\0"] = 2, a = 1, ab = 3 }, { sort_keys = true }))
  end)
end)

describe("json.decode", function()
  it("reads every kind of value", function()
    assert.same({ a = { 1, 2.5, "x", true, false, {} } },
      json.decode ' { "a" : [ 1 , 2.5 , "x" , true , false , { } ] } ')
    assert.equal("integer", math.type(json.decode "9007199254740993"))
    assert.equal(9007199254740993, json.decode "9007199254740993")
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal("float", math.type(json.decode "1e2"))
    assert.equal("aäb😀\0", json.decode [["a\u00e4b\ud83d\ude00\u0000"]])
  end)

  it("takes of a key that comes twice the last, and integers beyond 64 bits as floats", function()
    assert.same({ a = 2 }, json.decode '{"a":1,"a":2}')
    assert.same({}, json.decode '{"a":1,"a":null}')
    for text, value in pairs { ["9223372036854775808"] = 2.0^63, ["-9223372036854775809"] = -2.0^63,
      ["18446744073709551616"] = 2.0^64, ["[100000000000000000000]"] = { 1e20 } } do
      assert.same(value, json.decode(text))
    end
    assert.equal("integer", math.type(json.decode "-9223372036854775808"))
  end)

  it("leaves null out of objects, or keeps it when asked to", function()
    assert.same({ b = 1 }, json.decode '{"a":null,"b":1}')
    local kept = json.decode('{"a":null,"b":[null]}', { null = true })
    assert.equal(json.null, kept.a)
    assert.equal(perilune.null, kept.b[1])
    assert.equal("null", tostring(json.null))
    assert.equal(perilune.null, json.null)
  end)

  it("marks arrays, so that they are written again as such", function()
    for _, text in ipairs { "[]", "[[]]", '{"a":[]}', "{}", "[{}]", "[1,[2,[]]]" } do
      assert.equal(text, json.encode(json.decode(text)))
    end
  end)

  it("says what is wrong, and where", function()
    fails("line 2", json.decode, '{"a": 1,\n "b": }')
    fails("more text behind the value", json.decode, "1 2")
    fails("UTF-8", json.decode, '"\xFF"')
    fails("leading zero", json.decode, "01")
    for _, text in ipairs { "", " ", "[1,]", '{"a":1,}', "nul", "NaN", "Infinity", "'x'", '"\n"',
      "// x", "[1", '"\\x"', '"\\ud800"', "1.", ".5", "+1", "1e999", "\xEF\xBB\xBF{}" } do
      fails("", json.decode, text)
    end
    fails("deep", json.decode, ("["):rep(100000))
  end)
end)

describe("json's functions", function()
  it("check their arguments", function()
    for _, wrong in ipairs { 7, true, {} } do assert.is_false(pcall(json.decode, wrong)) end
    assert.is_false(pcall(json.encode))
    local _, err = pcall(json.decode, "{}", { nul = true })
    assert.is_truthy(err:find 'unknown option "nul" %(did you mean "null"%?%)')
    assert.is_false(pcall(json.decode, "{}", { null = 7 }))
    assert.is_false(pcall(json.array, 7))
  end)

  it("say how they are called, and which options there are", function()
    local wrong = {
      ["use a dot: json.encode(...)"] = { json.encode, json, {} },
      ["use a dot: json.decode(...)"] = { json.decode, json, "{}" },
      ["use a dot: json.array(...)"] = { json.array, json, {} },
      ['unknown option "sort" (did you mean "sort_keys"?)'] = { json.encode, {}, { sort = true } },
      ['option "sort_keys" is true or false, not a string'] =
        { json.encode, {}, { sort_keys = "yes" } },
      ['option "indent" is a number of spaces from 0 to 16, not true'] =
        { json.encode, {}, { indent = true } },
      ['option "indent" is a number of spaces from 0 to 16, not 1.5'] =
        { json.encode, {}, { indent = 1.5 } },
      ['option "indent" is a number of spaces from 0 to 16, not 17'] =
        { json.encode, {}, { indent = 17 } },
    }
    for message, call in pairs(wrong) do
      local ok, err = pcall(table.unpack(call))
      assert.is_false(ok)
      assert.is_truthy(err:find(message, 1, true), err)
    end
  end)

  it("array marks a table and gives it back", function()
    local list = { 1 }
    assert.equal(list, json.array(list))
    assert.equal("[1]", json.encode(list))
    assert.equal("[]", json.encode(json.array()))
  end)

  it("takes the length that an array says itself: holes are null", function()
    assert.equal("[null,2,null]", json.encode(json.array { nil, 2, n = 3 }))
    assert.equal("[1,2]", json.encode(json.array { 1, 2, n = 2 }))
    assert.equal("[]", json.encode(json.array { n = 0 }))
    assert.equal("[null]", json.encode(json.array { n = 1 }))
    assert.equal('{"a":[[]]}', json.encode { a = json.array { json.array { n = 0 } } })
    assert.equal("[1,2,3]", json.encode(json.array { 1, 2, 3, n = 2 }))
    fails("a list with holes", json.encode, json.array { 1, nil, 3 })
    fails("key", json.encode, json.array { 1, n = "1" })
    fails("key", json.encode, { 1, n = 1 })
  end)
end)
