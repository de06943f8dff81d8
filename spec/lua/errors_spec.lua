-- errors_spec.lua - what becomes of errors: on_error by kind and place, on_status, abort, the log.
--
-- spec/apps/errors runs as a process of its own. Each failing handler is asked as a plain and as a
-- blocking one; what is not HTTP is sent byte by byte.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local json = require "perilune.json"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local app

setup(function()
  app = site.start("errors", { "--workers", "1", "--body-timeout", "0.2", "--max-target", "1k" })
end)
teardown(function() app:kill() end)

local DEFAULT = '{"detail":"Internal Server Error"}'

local function answer(path)
  local res = app:get(path)
  return res.status, res.body
end

local function lines(pattern)
  local count = 0
  for line in app:log():gmatch "[^\n]+" do
    if line:find(pattern) then count = count + 1 end
  end
  return count
end

local colours = { "", "/blocking" }

describe("on_error", function()
  local expected = {
    text = { 500, "caught some text" },
    own = { 418, '"code":7' },
    other = { 500, "caught {" },
    quiet = { 500, DEFAULT },
    fails = { 500, DEFAULT },
    fails_table = { 500, DEFAULT },
    wrong = { 500, DEFAULT },
    aborts = { 410, '{"detail":"gone"}' },
    waits = { 500, "waited" },
    object = { 500, '["object"]' },
    fine = { 200, "all is well" },
    text_answer = { 500, "sorry" },
    stream = { 502, "streamed" },
    result = { 500, "caught the handler returned nil" },
    json = { 500, "caught cannot encode value[1]" },
    abort = { 409, '{"detail":"mine"}' },
    deep = { 418, '"deep"' },
  }
  for name, wanted in pairs(expected) do
    for _, colour in ipairs(colours) do
      it(("answers for %s%s"):format(name, colour), function()
        local status, body = answer(colour .. "/" .. name)
        if name == "other" then wanted[2] = "caught " end
        assert.equal(wanted[1], status, body)
        assert.is_truthy(body:find(wanted[2], 1, true), body)
      end)
    end
  end

  it("sees the error and the request", function()
    assert.same({ kind = "own", code = 7, path = "/own" }, app:get("/own"):json())
    assert.same({ kind = "own", code = 7, path = "/blocking/own" },
      app:get("/blocking/own"):json())
    assert.same({ 500, "inherited" }, { answer "/inherited" })
  end)

  it("may be a blocking function", function()
    for _, colour in ipairs(colours) do
      local path = colour .. "/blocks"
      assert.same({ path = path, kind = "blocks", list = { 1, 2 } }, app:get(path):json())
    end
  end)

  it("of the innermost group comes first, by kind, then those around it", function()
    for _, colour in ipairs(colours) do
      assert.same({ 500, "group 7" }, { answer("/group" .. colour .. "/own") })
      assert.same({ 500, "group 7" }, { answer("/group/inner" .. colour .. "/own") })
      assert.same({ 500, "inner other" }, { answer("/group/inner" .. colour .. "/other") })
      assert.same({ 500, "caught some text" }, { answer("/group/inner" .. colour .. "/text") })
    end
    assert.same({ 500, "mounted own" }, { answer "/mounted/own" })
  end)

  it("is of what is around a middleware that fails", function()
    assert.same({ 500, "of the inner group" }, { answer "/layers/outer/group" })
    assert.same({ 500, "of the inner group" }, { answer "/layers/own" })
    local res = app:get("/layers/error")
    assert.same({ "of the group", "other" }, { res.body, res.headers["x-error"] })
  end)

  it("is not asked for aborts and redirects", function()
    assert.same({ 409, '{"detail":"mine"}' }, { answer "/throwing/abort" })
    assert.equal(302, (answer "/throwing/redirect"))
  end)

  it("finds the failure logged already, once, with its traceback", function()
    answer "/deep?unique"
    assert.equal(1, lines "target=/deep%?unique ")
    local text = app:log():match("target=/deep%?unique .-\n%d%d%d%d%-") or app:log()
    assert.is_truthy(text:find("stack traceback", 1, true), text)
    assert.is_truthy(text:find("in local 'level'", 1, true) or text:find("'level'", 1, true), text)
    assert.is_truthy(text:find "request=%x+")
  end)

  it("that fails is logged with both errors", function()
    answer "/fails?both"
    wait.for_log(app,
      'on_error failed[^\n]*target=/fails%?both[^\n]*on_error itself[^\n]*cause=[^\n]*fails')
    answer "/wrong?both"
    wait.for_log(app,
      'on_error failed[^\n]*target=/wrong%?both[^\n]*on_error returned nil')
  end)
end)

describe("on_status", function()
  local function ask(text)
    return raw.request(app.port, (text:gsub("\n", "\r\n")))
  end

  it("answers with its status", function()
    local res = app:get("/a%20b")
    assert.same({ 404, "application/json" }, { res.status, res.headers["content-type"] })
    assert.same({ missing = "/a b", method = "GET" }, res:json())
    assert.equal(404, app:get("//own/").status)
    assert.equal(404, app:get("/mounted/none").status)
    assert.same({ missing = "/mounted/none", method = "GET" }, app:get("/mounted/none"):json())
  end)

  it("is not asked for what handlers return", function()
    assert.same({ 404, "my own" }, { answer "/own404" })
  end)

  it("keeps Allow", function()
    local res = app:post("/text", { body = "" })
    assert.same({ 405, "not POST", "GET, HEAD, OPTIONS" },
      { res.status, res.body, res.headers.allow })
  end)

  it("may add headers, and say another status", function()
    local res = app:post("/small", { body = "four" })
    assert.same({ 413, "too much for /small", "b", "close" },
      { res.status, res.body, res.headers["x-a"], res.headers.connection })
    res = ask "POST /small HTTP/1.1\nHost: a\nExpect: tea\nContent-Length: 1\n\n"
    assert.same({ 400, "expected", "close" }, { res.status, res.body, res.headers.connection })
  end)

  it("has no body for HEAD", function()
    local res = ask "HEAD /none HTTP/1.1\nHost: a\nConnection: close\n\n"
    assert.same({ 404, "" }, { res.status, res.body })
    assert.is_truthy(tonumber(res.headers["content-length"]) > 0)
  end)

  it("sees what is known of a request that was not understood", function()
    for text, wanted in pairs {
      ["\1\2\3\n\n"] = { "UNKNOWN", "", "", 0, true, "" },
      ["GET /x HTTP/1.1\nBad Field: 1\n\n"] = { "GET", "", "", 0, true, "" },
      ["GET /x HTTP/1.1\nHost: a\nHost: b\n\n"] = { "GET", "", "a", 0, true, "" },
      ["POST /x HTTP/1.1\nHost: a\nContent-Length: 1x\n\n"] = { "POST", "", "a", 0, true, "" },
    } do
      local res = ask(text)
      assert.equal(400, res.status, text)
      assert.equal("close", res.headers.connection)
      local got = json.decode(res.body)
      assert.equal(wanted[2], got[2])
      assert.equal(wanted[4], got[4])
      assert.is_true(got[5])
      assert.equal("", got[6])
    end
  end)

  it("gives the default answer when it gives nothing or fails", function()
    local res = ask(("GET /x HTTP/1.1\nHost: a\nX: %s\n\n"):format(("x"):rep(20000)))
    assert.same({ 431, '{"detail":"Request Header Fields Too Large"}' }, { res.status, res.body })
    wait.for_log(app, "on_status%(431%) failed[^\n]*on_status itself")
    res = ask(("GET /%s HTTP/1.1\nHost: a\n\n"):format(("x"):rep(2000)))
    assert.same({ 414, '{"detail":"URI Too Long"}' }, { res.status, res.body })
  end)

  it("may abort, wait and be blocking", function()
    local res = ask "BREW /x HTTP/1.1\nHost: a\n\n"
    assert.same({ 502, '{"detail":"aborted"}' }, { res.status, res.body })
    res = ask "GET /x HTTP/3.0\nHost: a\n\n"
    assert.equal(505, res.status)
    assert.is_truthy(res.body:find "^blocking ")
    res = ask "POST /small HTTP/1.1\nHost: a\nContent-Length: 2\n\nx"
    assert.same({ 408, "slow /small" }, { res.status, res.body })
  end)

  it("comes behind the answers of earlier requests", function()
    local client = raw.connect(app.port)
    client:send("GET /waits HTTP/1.1\r\nHost: a\r\n\r\nGET /none HTTP/1.1\r\nHost: a\r\n\r\n"
      .. "GET /own404 HTTP/1.1\r\nHost: a\r\n\r\n\1\r\n\r\n")
    for _, wanted in ipairs { 500, 404, 404, 400 } do
      assert.equal(wanted, client:receive_response().status)
    end
    client:close()
  end)

  it("answers for a full queue", function()
    local path = os.tmpname()
    local function hold() return app:get("/hold?path=" .. path).status end
    local first, second = async.spawn(hold), async.spawn(hold)
    wait.wait_until(function()
      return lines "info +holding" == 1 and lines "info +queueing" == 2
    end, nil, "the full queue")
    assert.same({ 503, "full house" }, { answer "/full" })
    assert.equal("1", app:get("/full").headers["retry-after"])
    wait.for_log(app, "warn +refused with 503[^\n]*target=/full")
    assert.same({ 503, "known: full" }, { answer "/full/known" })
    assert.equal(500, (answer "/full/plain"))
    os.remove(path)
    assert.same({ 200, 200 }, { first:wait(), (second:wait()) })
  end)
end)
