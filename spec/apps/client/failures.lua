-- failures.lua - what goes wrong, and what is tried again.
--
-- Cases for cases.lua.

local assert = require "luassert"
local async = require "perilune.async"
local expect = require "expect"
local http = require "perilune.http"

local cases = {}

local QUICK = { initial = 0.001, factor = 1 }
local NOBODY = "http://127.0.0.1:1/" -- a port that nobody listens on

cases["errors have codes and a place"] = function(base)
  local err = expect.fails_with("http", "GET " .. NOBODY .. ": ", http.get, NOBODY)
  assert.same({ 7, "CURLE_COULDNT_CONNECT" }, { err.code, err.code_name })
  err = expect.fails_with("http", "neither http nor https", http.get, "ftp://127.0.0.1/")
  assert.same({ 1, "CURLE_UNSUPPORTED_PROTOCOL" }, { err.code, err.code_name })
  err = expect.fails_with("http", 'cannot request "no url"', http.get, "no url")
  assert.equal("CURLE_URL_MALFORMAT", err.code_name)
  local secret = base:gsub("//", "//user:secret@") .. "/hang/x?token=secret"
  err = expect.fails_with("timeout", "/hang/x: no complete response within 0.05 s", http.get,
    secret, { timeout = expect.SHORT })
  assert.is_nil(err.message:find("secret", 1, true))
  assert.same({ 28, "CURLE_OPERATION_TIMEDOUT" }, { err.code, err.code_name })
end

cases["a response that is too large is refused"] = function(base)
  local function get(bytes, most) return #http.get(("%s/big/%d"):format(base, bytes),
    { max_body = most }).body end
  assert.equal(1000, get(1000, 1000))
  assert.equal(1024, get(1024, "1k"))
  assert.equal(1000, get(1000, 1 << 40))
  local err = expect.fails_with("http", "the response is larger than 999 bytes", get, 1000, 999)
  assert.equal("CURLE_WRITE_ERROR", err.code_name)
  expect.fails_with("http", "the response is larger than 1 KiB", get, 100000, "1k")
end

cases["a response may stand still for so long"] = function(base)
  expect.fails_with("timeout", "not a byte within 0.05 s", http.get, base .. "/hang/x",
    { idle_timeout = expect.SHORT })
end

cases["a cancel drops the request at once"] = function(base)
  local key = expect.new_key()
  local task = async.spawn(http.get, ("%s/hang/%s"):format(base, key))
  expect.arrived(base, key)
  task:cancel "enough"
  expect.fails_with("cancelled", "enough", task.wait, task)
  expect.left(base, key)
end

cases["the loser of a race drops its request at once"] = function(base)
  local key = expect.new_key()
  local index = async.race({ http.get, ("%s/hang/%s"):format(base, key) }, function()
    expect.arrived(base, key)
  end)
  assert.equal(2, index)
  expect.left(base, key)
end

-- --- again --------------------------------------------------------------------------------------

local function flaky(base, method, options)
  local key = expect.new_key()
  options.backoff = options.backoff or QUICK
  local res = http[method](("%s/flaky/%s"):format(base, key), options)
  return res, expect.seen(base, key).count
end

cases["what may pass is tried again"] = function(base)
  for _, status in ipairs { 502, 503, 504 } do
    local res, count = flaky(base, "get", { retries = 3, query = { status = status } })
    assert.same({ 200, "3", 3 }, { res.status, res.body, count })
  end
  local res, count = flaky(base, "put", { retries = 2, body = "again" })
  assert.same({ 200, 3 }, { res.status, count })
  res, count = flaky(base, "get", { retries = 2, stream = true })
  assert.same({ 200, "3", 3 }, { res.status, (res:chunks())(), count })
end

cases["the last answer is given"] = function(base)
  local res, count = flaky(base, "get", { retries = 1 })
  assert.same({ 503, "later", 2 }, { res.status, res.body, count })
  res, count = flaky(base, "get", {})
  assert.same({ 503, 1 }, { res.status, count })
  res, count = flaky(base, "get", { retries = 5, query = { status = 500 } })
  assert.same({ 500, 1 }, { res.status, count })
end

cases["what changes something is tried again only when asked"] = function(base)
  local res, count = flaky(base, "post", { retries = 5, body = "x" })
  assert.same({ 503, 1 }, { res.status, count })
  res, count = flaky(base, "post", { retries = 5, retry_unsafe = true, body = "x" })
  assert.same({ 200, 3 }, { res.status, count })
end

cases["what a function gave is not sent again"] = function(base)
  local res, count = flaky(base, "put", { retries = 5, body = expect.each { "x" } })
  assert.same({ 503, 1 }, { res.status, count })
  expect.fails_with("http", "", http.put, NOBODY,
    { retries = 2, backoff = QUICK, body = function() error "never" end })
end

cases["nothing is tried beyond the time of the whole"] = function(base)
  local res, count = flaky(base, "get", { retries = 5, query = { after = expect.LONG } })
  assert.same({ 503, 1 }, { res.status, count })
  local http_date = "Fri, 31 Dec 2100 23:59:59 GMT"
  res, count = flaky(base, "get", { retries = 5, query = { after = http_date } })
  assert.same({ 503, 1 }, { res.status, count })
  expect.fails_with("http", "", http.get, NOBODY,
    { retries = 5, backoff = { initial = 100, max = 100 } })
end

cases["the way may fail and be tried again"] = function(base)
  local begun = async.now()
  expect.fails_with("http", "", http.get, NOBODY,
    { retries = 2, backoff = { initial = 0.02, factor = 1, jitter = false } })
  assert.is_true(async.now() - begun >= 0.04)
  local task = async.spawn(http.get, NOBODY, { retries = 1, backoff = { initial = 20 } })
  expect.until_true(function() return task.status == "running" end)
  task:cancel "enough"
  expect.fails_with("cancelled", "enough", task.wait, task)
  assert.equal(200, http.get(base .. "/status/200").status)
end

return cases
