-- cookies_spec.lua - cookies read, set with their attributes, signed and verified.
--
-- spec/apps/cookies runs as a process of its own; heads are looked at line by line, since each
-- cookie has a Set-Cookie line of its own.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local json = require "perilune.json"
local raw = require "support.raw"
local site = require "support.site"

local app

setup(function() app = site.start "cookies" end)
teardown(function() app:kill() end)

local function ask(path, lines, body)
  local head = { ("%s %s HTTP/1.1"):format(body and "POST" or "GET", path), "Host: a" }
  if body then head[3] = ("Content-Length: %d"):format(#body) end
  table.move(lines or {}, 1, #(lines or {}), #head + 1, head)
  return raw.request(app.port, table.concat(head, "\r\n") .. "\r\n\r\n" .. (body or ""))
end

--- The values of the Set-Cookie lines, in their order.
local function cookies_of(res)
  local list = {}
  for value in res.raw:gmatch "\r\n[Ss]et%-[Cc]ookie: ([^\r\n]*)" do list[#list + 1] = value end
  return list
end

describe("req.cookies", function()
  local function read(lines, colour)
    local result = {}
    for _, each in ipairs(json.decode(ask((colour or "") .. "/read", lines).body).cookies) do
      result[each.name] = each.value
    end
    return result
  end

  for name, case in pairs {
    ["is empty without"] = { {}, {} },
    ["has what was sent"] = { { "Cookie: a=1; b=two" }, { a = "1", b = "two" } },
    ["has the first of one name"] = { { "Cookie: a=1; a=2" }, { a = "1" } },
    ["joins several fields"] = { { "Cookie: a=1", "cookie: b=2; a=3" }, { a = "1", b = "2" } },
    ["takes quotes off"] = { { 'Cookie: a="1 2"; b=""' }, { a = "1 2", b = "" } },
    ["decodes escapes"] = { { "Cookie: a=%41%20%C3%A9; b=100%; c=%zz; d=1+1" },
      { a = "A é", b = "100%", c = "%zz", d = "1+1" } },
    ["passes over what is no pair"] = { { "Cookie: a; =1; ;b=2;; c=" }, { b = "2", c = "" } },
    ["keeps = in values"] = { { "Cookie: a=b=c==" }, { a = "b=c==" } },
  } do
    it(name, function()
      assert.same(case[2], read(case[1]))
      assert.same(case[2], read(case[1], "/blocking"))
    end)
  end
end)

local function set(wanted, colour)
  return ask((colour or "") .. "/set", {}, json.encode(wanted))
end

local function set_one(name, value, options)
  local res = set { { name = name, value = value, options = options } }
  assert.equal(200, res.status, res.body)
  local list = cookies_of(res)
  assert.equal(1, #list)
  return list[1]
end

describe("res:cookie", function()
  it("is safe unless told otherwise", function()
    assert.equal("a=1; Path=/; HttpOnly; SameSite=Lax", set_one("a", "1"))
  end)

  for expected, case in pairs {
    ["a=1; Path=/x/y; HttpOnly; SameSite=Lax"] = { "a", "1", { path = "/x/y" } },
    ["a=1; Path=/; Domain=example.com; HttpOnly; SameSite=Lax"] =
      { "a", "1", { domain = ".example.com" } },
    ["a=1; Path=/; Max-Age=60; HttpOnly; SameSite=Lax"] = { "a", "1", { max_age = 60 } },
    ["a=1; Path=/; Expires=Sat, 21 Nov 2026 12:00:00 GMT; HttpOnly; SameSite=Lax"] =
      { "a", "1", { expires = 1795262400.7 } },
    ["a=1; Path=/; Secure; SameSite=None"] =
      { "a", "1", { secure = true, http_only = false, same_site = "none" } },
    ["a=1; Path=/; HttpOnly; SameSite=Strict"] = { "a", 1, { same_site = "Strict" } },
    ["a=; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"] =
      { "a", nil },
    ["a=x; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly; SameSite=Lax"] =
      { "a", "x", { max_age = 0 } },
    ["__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"] = { "__Host-a", "1", { secure = true } },
    ["__Secure-a=1; Path=/x; Domain=a.b; Secure; HttpOnly; SameSite=Lax"] =
      { "__Secure-a", "1", { secure = true, path = "/x", domain = "a.b" } },
    ["a=%20%22%2C%3B%5C%25%0D%0A%C3%A9; Path=/; HttpOnly; SameSite=Lax"] =
      { "a", ' ",;\\%\r\né' },
    ["a=; Path=/; HttpOnly; SameSite=Lax"] = { "a", "" },
  } do
    it("writes " .. expected, function()
      assert.equal(expected, set_one(case[1], case[2], case[3]))
    end)
  end

  it("gives back any value", function()
    local value = "a b;c,\"d\"\\%41=é\1\127"
    local line = set_one("a", value)
    local res = ask("/read", { "Cookie: " .. line:match "^[^;]*" })
    assert.equal(value, json.decode(res.body).cookies[1].value)
  end)

  it("writes a line for each cookie, the last one for the same", function()
    local wanted = {
      { name = "a", value = "1" }, { name = "b", value = "2" }, { name = "a", value = "3" },
      { name = "a", value = "4", options = { path = "/x" } },
      { name = "a", value = "5", options = { domain = "b.c" } },
      { name = "a", value = "6", options = { domain = "B.C" } },
    }
    for _, colour in ipairs { "", "/blocking" } do
      assert.same({
        "b=2; Path=/; HttpOnly; SameSite=Lax",
        "a=3; Path=/; HttpOnly; SameSite=Lax",
        "a=4; Path=/x; HttpOnly; SameSite=Lax",
        "a=6; Path=/; Domain=B.C; HttpOnly; SameSite=Lax",
      }, cookies_of(set(wanted, colour)))
    end
  end)

  for _, kind in ipairs { "html", "redirect", "stream", "sse", "blocking", "middleware",
    "aborted", "file" } do
    it("works on a response that is " .. kind, function()
      assert.same({ "a=1; Path=/; HttpOnly; SameSite=Lax" }, cookies_of(ask("/on/" .. kind)))
    end)
  end

  it("leaves lines that a handler wrote, and the handler's own list", function()
    for _ = 1, 3 do
      assert.same({ "raw=1", "a=1; Path=/; HttpOnly; SameSite=Lax" },
        cookies_of(ask "/on/own"))
    end
  end)

  for message, case in pairs {
    ["is no name of a cookie"] = { "a b", "1" },
    ['"a;b" is no name'] = { "a;b", "1" },
    ['"" is no name'] = { "", "1" },
    ["not a boolean"] = { "a", true },
    ['did you mean "path"'] = { "a", "1", { pth = "/" } },
    ['begins with "/"'] = { "a", "1", { path = "x" } },
    ['not "/;Domain=evil"'] = { "a", "1", { path = "/;Domain=evil" } },
    ["the name of a host"] = { "a", "1", { domain = "a b" } },
    ["whole number of seconds, 0 to delete the cookie, not -1"] = { "a", "1", { max_age = -1 } },
    ["whole number of seconds, 0 to delete the cookie, not 1.5"] = { "a", "1", { max_age = 1.5 } },
    ["as os.time() gives it"] = { "a", "1", { expires = -1 } },
    ['option "expires"'] = { "a", "1", { expires = "tomorrow" } },
    ['option "secure"'] = { "a", "1", { secure = "yes" } },
    ['same_site is "lax", "strict" or "none"'] = { "a", "1", { same_site = "some" } },
    ['same_site = "none" needs secure'] = { "a", "1", { same_site = "none" } },
    ['"__Host-a" needs secure'] = { "__Host-a", "1" },
    ['"__secure-a" needs secure'] = { "__secure-a", "1" },
    ['has the path "/"'] = { "__Host-a", "1", { secure = true, path = "/x" } },
    ["and no domain"] = { "__Host-a", "1", { secure = true, domain = "a.b" } },
    ["browsers keep 4096"] = { "a", ("x"):rep(4095) },
    ["at least 16 bytes"] = { "a", "1", { secret = "fifteen bytes.." } },
    ["at least 16"] = { "a", "1", { secret = json.array {} } },
    ['option "secret"'] = { "a", "1", { secret = false } },
  } do
    it("refuses what browsers would: " .. message, function()
      local res = set { { name = case[1], value = case[2], options = case[3] } }
      assert.equal(422, res.status)
      assert.is_truthy(res.body:find(message, 1, true), res.body)
      assert.is_truthy(res.body:find "cookies/app%.lua:%d+: ", res.body)
    end)
  end
end)

describe("a signed cookie", function()
  local function sign(how, value)
    local list = cookies_of(ask(("/%s?value=%s"):format(how, value or "7")))
    assert.equal(1, #list)
    return list[1]:match "^([^;]*)"
  end

  local function verify(how, pair)
    local res = ask("/" .. how, { "Cookie: " .. pair })
    assert.equal(200, res.status)
    return json.decode(res.body).value
  end

  it("comes back", function()
    for _, value in ipairs { "7", "", "a.b.c", "%20;%2C%25", ("x"):rep(3000) } do
      local pair = sign("sign/new", value)
      local decoded = value:gsub("%%(%x%x)", function(hex)
        return string.char(tonumber(hex, 16))
      end)
      assert.equal(decoded, verify("verify/new", pair))
      assert.equal(decoded, verify("blocking/verify/new", pair))
      assert.equal(pair, sign("blocking/sign/new", value))
    end
  end)

  it("is its value and a MAC that can be checked elsewhere", function()
    -- printf uid=7 | openssl dgst -sha256 -hmac 'a new secret of 24 bytes' -binary, in base64url
    assert.equal("uid=7.FRQ590kkir58at2xLm5Y5ANFCPKqKgaYjWlFYuRdS4A", sign "sign/new")
  end)

  it("is nobody's when changed", function()
    local pair = sign "sign/new"
    local mac = pair:match "^uid=7%.(.*)$"
    assert.equal(43, #mac)
    local other = mac:sub(1, 1) == "A" and "B" or "A"
    for _, forged in ipairs {
      "uid=8." .. mac, "uid=7" .. mac, "uid=." .. mac, "uid=7." .. other .. mac:sub(2),
      "uid=7." .. mac:sub(1, -2), "uid=7." .. mac .. "=", "uid=7.", "uid=7", "uid=", "other=1",
      "uid=77." .. mac, "uid=" .. mac, "uid=7.x." .. mac,
    } do
      assert.is_nil(verify("verify/new", forged), forged)
    end
    assert.is_nil(verify("verify/other_name", "other=7." .. mac))
  end)

  it("outlives its secret for as long as the list has it", function()
    local old, new = sign "sign/old", sign "sign/new"
    assert.not_equal(old, new)
    assert.equal(new, sign "sign/both")
    assert.equal("7", verify("verify/both", old))
    assert.equal("7", verify("verify/both", new))
    assert.is_nil(verify("verify/new", old))
    assert.is_nil(verify("verify/old", new))
  end)

  for how, message in pairs {
    short = "a secret is a string of at least 16 bytes",
    none = "a secret is a string of at least 16 bytes",
    empty = "a secret is a string of at least 16 bytes",
    dot = "use a colon (req:signed_cookie)",
  } do
    it(("with a secret that is %s is an error at its line"):format(how), function()
      assert.equal(500, ask("/wrong/" .. how).status)
      assert.is_truthy(app:wait_log("target=/wrong/" .. how .. "[^\n]*"))
      local line = app:log():match("target=/wrong/" .. how .. "[^\n]*")
      assert.is_truthy(line:find(message, 1, true), line)
      assert.is_truthy(line:find "cookies/app%.lua:%d+", line)
    end)
  end

  it("with a short secret in its list is an error when it is needed", function()
    assert.equal(500, ask("/wrong/second", { "Cookie: " .. sign "sign/old" }).status)
  end)
end)
