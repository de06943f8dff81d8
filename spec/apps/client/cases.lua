-- cases.lua - perilune.http as an app uses it: cases that hold wherever Lua code runs.
--
-- Each gets the URL of a server that runs the app of this directory. Bodies, streams and failures
-- have files of their own, which are joined here.

local assert = require "luassert"
local expect = require "expect"
local http = require "perilune.http"

local cases = {}

for _, name in ipairs { "bodies", "streams", "failures", "clients" } do
  for case, fn in pairs(require(name)) do
    assert(not cases[case], case)
    cases[case] = fn
  end
end

cases["methods are sent as they are called"] = function(base)
  for _, method in ipairs { "get", "post", "put", "patch", "delete", "options" } do
    assert.equal(method:upper(), http[method](base .. "/echo"):json().method)
  end
  local res = http.head(base .. "/big/1000")
  assert.equal("", res.body)
  assert.equal("1000", res.headers["Content-Length"])
  assert.equal("DELETE", http.request { method = "delete", url = base .. "/echo" }:json().method)
  assert.equal("GET", http.request { url = base .. "/echo" }:json().method)
end

cases["query and headers are encoded, lists repeat"] = function(base)
  local got = http.get(base .. "/echo?z=1", {
    query = { name = "a b&c", list = { 1, "zwei", true } },
    headers = { ["X-One"] = 1, ["X-List"] = { "a", "b" } },
  }):json()
  assert.equal("/echo?z=1&list=1&list=zwei&list=true&name=a%20b%26c", got.target)
  assert.same({ "1" }, got.headers["x-one"])
  assert.same({ "a", "b" }, got.headers["x-list"])
end

cases["a response has all that was said"] = function(base)
  local res = http.get(base .. "/cookies")
  assert.equal(200, res.status)
  assert.equal("ok", res.body)
  assert.equal(base .. "/cookies", res.url)
  assert.is_true(res.elapsed > 0)
  local cookies = res:header_all "SET-Cookie"
  assert.equal(2, #cookies)
  assert.is_truthy(cookies[1]:find("a=1; Path=/x", 1, true))
  assert.is_truthy(cookies[2]:find("b=2", 1, true))
  assert.equal(cookies[1] .. ", " .. cookies[2], res.headers["set-cookie"])
end

cases["a status can be raised"] = function(base)
  local res = http.get(base .. "/status/200")
  assert.equal(res, res:raise_for_status())
  local bad = http.get(base .. "/status/404")
  assert.equal("luck", next({ luck = bad:json().no }))
  local err = expect.fails_with("http", "404 Not Found from " .. base, bad.raise_for_status, bad)
  assert.equal(404, err.status)
  assert.equal(bad, err.response)
end

cases["what was compressed is decoded"] = function(base)
  local res = http.get(base .. "/big/100000")
  assert.equal(("a"):rep(100000), res.body)
  assert.is_truthy(res.headers["content-encoding"])
  local plain = http.get(base .. "/big/100000", { headers = { ["accept-encoding"] = "identity" } })
  assert.is_nil(plain.headers["content-encoding"])
  assert.equal(res.body, plain.body)
end

cases["redirects are followed when asked"] = function(base)
  local query = { to = base .. "/echo", status = 302 }
  local res = http.get(base .. "/redirect", { query = query })
  assert.equal(302, res.status)
  assert.equal(query.to, res.headers.location)
  res = http.post(base .. "/redirect", { query = query, body = "x", follow_redirects = true })
  assert.equal(query.to, res.url)
  assert.equal("GET", res:json().method)
  query.status = 307
  res = http.post(base .. "/redirect", { query = query, body = "x", follow_redirects = 1 })
  assert.equal("POST", res:json().method)
  assert.equal("x", res:json().body)
end

cases["redirects end"] = function(base)
  local function follow(most) return http.get(base .. "/loop/0", { follow_redirects = most }) end
  for most, last in pairs { [3] = 3, [true] = 20 } do
    local err = expect.fails_with("http", "GET " .. base .. "/loop/0: ", follow, most)
    assert.equal(47, err.code)
    assert.equal("CURLE_TOO_MANY_REDIRECTS", err.code_name)
    assert.is_truthy(err.message:find(("(%d)"):format(last), 1, true), err.message)
  end
  assert.equal(302, follow(0).status)
end

cases["another host does not get the credentials"] = function(base)
  local elsewhere = base:gsub("127%.0%.0%.1", "localhost") .. "/echo"
  local options = { query = { to = elsewhere }, follow_redirects = true,
    headers = { Authorization = "Bearer secret", Cookie = "a=b", ["X-Mine"] = "1" } }
  local got = http.get(base .. "/redirect", options)
  assert.equal(elsewhere, got.url)
  local headers = got:json().headers
  assert.is_nil(headers.authorization)
  assert.is_nil(headers.cookie)
  assert.same({ "1" }, headers["x-mine"])
  options.query.to = base .. "/echo"
  headers = http.get(base .. "/redirect", options):json().headers
  assert.same({ "Bearer secret" }, headers.authorization)
end

cases["misuse is told at the line"] = function(base)
  local function no(part, options)
    assert.is_truthy(expect.misuse(part, http.post, base, options))
  end
  local ok, err = pcall(function()
    http.get(base, { timeot = 1 })
  end)
  assert.is_false(ok)
  assert.is_truthy(err:find 'cases%.lua:%d+: unknown option "timeot" %(did you mean "timeout"%?%)')
  no("is a whole number from 0 to 1000, not -1", { follow_redirects = -1 })
  no('"follow_redirects" is a whole number', { follow_redirects = "yes" })
  no('"retries" is a whole number', { retries = 1.5 })
  no('"retry_unsafe" is true or false', { retry_unsafe = 1 })
  no('"backoff" is a table', { backoff = 1 })
  no('unknown option "first"', { backoff = { first = 1 } })
  no('"max_body" is a number of bytes (65536 or "20m"), not "5x"', { max_body = "5x" })
  no('"max_body" is a number of bytes', { max_body = -1 })
  no('"idle_timeout" is a number of seconds above 0', { idle_timeout = 0 })
  no('"ca_file" is a path, not a number', { ca_file = 1 })
  no('"ca_path" is no path', { ca_path = "a\0b" })
  no('"unix_socket" is a path', { unix_socket = {} })
  no('"stream" is true or false', { stream = "yes" })
  expect.misuse("the URL has a CR, LF or NUL", http.get, base .. "/\r\nX-A: b")
  expect.misuse("use a dot: http.get(url, options)", http.get, http, base)
end

return cases
