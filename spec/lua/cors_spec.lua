-- cors_spec.lua - app:headers and app:cors on every kind of response, preflights, wrong options.
--
-- spec/apps/policy runs as a process of its own; it is asked byte by byte, since clients hide what
-- is sent twice. Wrong options are loaded by `perilune routes`.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"

local ORIGIN, STRANGER = "https://example.com", "https://evil-example.org"

local app

setup(function() app = site.start("policy", { "--header-timeout", "0.2" }) end)
teardown(function() app:kill() end)

local function ask(method, path, lines, body)
  local head = { ("%s %s HTTP/1.1"):format(method, path), "Host: a" }
  table.move(lines or {}, 1, #(lines or {}), 3, head)
  return raw.request(app.port, table.concat(head, "\r\n") .. "\r\n\r\n" .. (body or ""))
end

--- Lines of the head with the name, which is in lower case.
local function count(res, name)
  local found = 0
  for line in res.raw:gmatch "[^\r\n]+" do
    if line:lower():find(name .. ":", 1, true) == 1 then found = found + 1 end
  end
  return found
end

local function assert_app_headers(res)
  assert.equal("DENY", res.headers["x-frame-options"])
  assert.equal("</a>, </b>", res.headers.link)
  assert.equal("7", res.headers["x-number"])
  assert.equal(1, count(res, "vary"))
end

local function assert_readable(res, origin)
  assert.equal(origin, res.headers["access-control-allow-origin"])
  assert.equal("true", res.headers["access-control-allow-credentials"])
end

local function assert_unreadable(res)
  for name in pairs(res.headers) do assert.is_nil(name:match "^access%-control") end
end

describe("every response", function()
  local long = ("x"):rep(20000)
  -- name = status, method, path, further lines, body
  local kinds = {
    ["of a handler"] = { 200, "GET", "/json" },
    ["to HEAD"] = { 200, "HEAD", "/json" },
    ["without content"] = { 204, "GET", "/empty" },
    ["for an error"] = { 500, "GET", "/error" },
    ["for an abort"] = { 422, "GET", "/abort" },
    ["that redirects"] = { 302, "GET", "/redirect" },
    ["of a blocking handler"] = { 200, "GET", "/blocking" },
    ["that is a file"] = { 200, "GET", "/file" },
    ["of public/"] = { 200, "GET", "/file.txt" },
    ["with a part of a file"] = { 206, "GET", "/file.txt", { "Range: bytes=0-1" } },
    ["with no part of it"] = { 416, "GET", "/file.txt", { "Range: bytes=100-" } },
    ["to what is not modified"] = { 304, "GET", "/file.txt", { "If-None-Match: *" } },
    ["that is streamed"] = { 200, "GET", "/stream" },
    ["of events"] = { 200, "GET", "/sse" },
    ["after its time"] = { 503, "GET", "/slow" },
    ["without a route"] = { 404, "GET", "/nope" },
    ["to another method"] = { 405, "DELETE", "/json" },
    ["with another slash"] = { 308, "GET", "/slashed" },
    ["to OPTIONS"] = { 204, "OPTIONS", "/json" },
    ["to too large a body"] = { 413, "POST", "/limited", { "Content-Length: 5" } },
    ["to a bad request"] = { 400, "GET", "/json", { "Content-Length: x" } },
    ["to an unknown method"] = { 501, "BREW", "/json" },
    ["to too large a head"] = { 431, "GET", "/json", { "X-Long: " .. long } },
  }
  for name, kind in pairs(kinds) do
    it(name .. " has the app's headers and lets the origin read", function()
      local lines = { "Origin: " .. ORIGIN, table.unpack(kind[4] or {}) }
      local res = ask(kind[2], kind[3], lines, kind[5])
      assert.equal(kind[1], res.status)
      assert_app_headers(res)
      if kind[1] ~= 501 then -- refused before its fields came
        assert_readable(res, ORIGIN)
        assert.equal("X-Total", res.headers["access-control-expose-headers"])
      end
      assert.is_truthy(res.headers.vary:find("Origin", 1, true))
      assert_unreadable(ask(kind[2], kind[3], kind[4], kind[5]))
    end)
  end

  it("to a request that stops has them too", function()
    local connection = raw.connect(app.port)
    connection:send(("GET /json HTTP/1.1\r\nOrigin: %s\r\nHost: a\r\n"):format(ORIGIN))
    local res = connection:receive_response()
    connection:close()
    assert.equal(408, res.status)
    assert_app_headers(res)
    assert_readable(res, ORIGIN)
  end)

  it("to bytes that are no request has them too", function()
    local res = raw.request(app.port, "\1\2\3\r\n\r\n")
    assert.equal(400, res.status)
    assert_app_headers(res)
    assert_unreadable(res)
  end)
end)

describe("a response's own headers", function()
  it("win over those of the app, and their Vary is one with the app's", function()
    local res = ask("GET", "/own", { "Origin: " .. ORIGIN })
    assert.equal("ALLOW", res.headers["x-frame-options"])
    assert.equal(1, count(res, "x-frame-options"))
    assert.equal(1, count(res, "vary"))
    assert.equal("X-Own, origin, Accept-Language", res.headers.vary)
    assert_readable(res, ORIGIN)
  end)

  it("win over the rules of CORS", function()
    local res = ask("GET", "/own_origin", { "Origin: " .. ORIGIN })
    assert.equal("*", res.headers["access-control-allow-origin"])
    assert.is_nil(res.headers["access-control-allow-credentials"])
  end)

  it("may come from middleware and from an abort", function()
    assert.equal("</c>", ask("GET", "/middle").headers.link)
    assert.equal("X-Abort, Accept-Language, Origin", ask("GET", "/abort").headers.vary)
  end)
end)

describe("an origin", function()
  for origin, is_allowed in pairs {
    [ORIGIN] = true, ["https://a.example.org"] = true, ["https://a.b.example.org"] = true,
    [STRANGER] = false, ["https://example.org"] = false, ["http://example.com"] = false,
    ["https://example.com:8443"] = false, ["https://example.com.evil.com"] = false,
    ["null"] = false,
  } do
    it(("%s %s"):format(origin, is_allowed and "may read" or "may not read"), function()
      local res = ask("GET", "/json", { "Origin: " .. origin })
      assert.equal(200, res.status)
      assert.equal("Accept-Language, Origin", res.headers.vary)
      if is_allowed then assert_readable(res, origin) else assert_unreadable(res) end
    end)
  end
end)

describe("a preflight", function()
  local function preflight(path, lines, origin)
    return ask("OPTIONS", path, { "Origin: " .. (origin or ORIGIN), table.unpack(lines) })
  end

  for _, path in ipairs { "/json", "/nope", "/options", "/limited", "/file.txt", "*" } do
    it("is answered for " .. path .. " without a handler", function()
      local res = preflight(path, { "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: x-token,content-type" })
      assert.equal(204, res.status)
      assert.equal("", res.body)
      assert_app_headers(res)
      assert_readable(res, ORIGIN)
      assert.equal("GET, PUT", res.headers["access-control-allow-methods"])
      assert.equal("Accept, Accept-Language, Content-Language, Content-Type, X-Token",
        res.headers["access-control-allow-headers"])
      assert.equal("60", res.headers["access-control-max-age"])
      assert.is_nil(res.headers["access-control-expose-headers"])
      assert.is_nil(res.headers.allow)
    end)
  end

  for what, case in pairs {
    origin = { { "Access-Control-Request-Method: PUT" }, STRANGER, "the origin is not allowed" },
    method = { { "Access-Control-Request-Method: DELETE" }, ORIGIN, "the method is not allowed" },
    ["request header"] = { { "Access-Control-Request-Method: PUT",
      "Access-Control-Request-Headers: x-other" }, ORIGIN, "a request header is not allowed" },
  } do
    it("with another " .. what .. " is refused with 403", function()
      local res = preflight("/json", case[1], case[2])
      assert.equal(403, res.status)
      assert.equal(('{"detail":"CORS: %s"}'):format(case[3]), res.body)
      assert_app_headers(res)
      assert.is_nil(res.headers["access-control-allow-methods"])
    end)
  end

  it("keeps its place among pipelined requests", function()
    local connection = raw.connect(app.port)
    connection:send(("GET /json HTTP/1.1\r\nHost: a\r\n\r\nOPTIONS /json HTTP/1.1\r\nHost: a\r\n"
      .. "Origin: %s\r\nAccess-Control-Request-Method: GET\r\n\r\n"
      .. "GET /empty HTTP/1.1\r\nHost: a\r\n\r\n"):format(ORIGIN))
    assert.equal('{"a":1}', connection:receive_response().body)
    local second = connection:receive_response()
    assert.equal("GET, PUT", second.headers["access-control-allow-methods"])
    assert.equal(204, connection:receive_response().status)
    connection:close()
  end)

  it("leaves other OPTIONS to the app", function()
    assert.equal("mine", ask("OPTIONS", "/options", { "Origin: " .. ORIGIN }).body)
    assert.equal("mine", ask("OPTIONS", "/options",
      { "Access-Control-Request-Method: GET" }).body)
    assert.equal("GET, HEAD, OPTIONS", ask("OPTIONS", "/json").headers.allow)
  end)
end)

describe("apps without restrictions", function()
  local open

  setup(function()
    open = program.make_directory { ["app.lua"] = [[
      local perilune = require "perilune"
      local app = perilune.app {}
      app:cors { origins = "*", headers = "*" }
      app:get("/", function() return "text" end)
      return app]] }
    open = { directory = open, server = site.start_at(open) }
  end)
  teardown(function()
    open.server:kill()
    program.remove_directory(open.directory)
  end)

  it("let any origin read, whatever the request", function()
    local res = raw.request(open.server.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert.equal("*", res.headers["access-control-allow-origin"])
    assert.is_nil(res.headers.vary)
  end)

  it("repeat the headers asked for", function()
    local res = raw.request(open.server.port, "OPTIONS / HTTP/1.1\r\nHost: a\r\nOrigin: null\r\n"
      .. "Access-Control-Request-Method: PATCH\r\nAccess-Control-Request-Headers: a,b\r\n\r\n")
    assert.equal(204, res.status)
    assert.equal("*", res.headers["access-control-allow-origin"])
    assert.equal("a, b", res.headers["access-control-allow-headers"])
    assert.equal("GET, HEAD, POST, PUT, PATCH, DELETE",
      res.headers["access-control-allow-methods"])
    assert.equal("600", res.headers["access-control-max-age"])
    assert.equal("Access-Control-Request-Headers", res.headers.vary)
  end)
end)

describe("wrong options", function()
  local function load_error(body)
    local directory = program.make_directory { ["app.lua"] = ([[
      local perilune = require "perilune"
      local app = perilune.app {}
      %s
      return app]]):format(body) }
    local result = program.run { "routes", directory }
    program.remove_directory(directory)
    assert.equal(1, result.code, result.out)
    return result.err
  end

  for body, message in pairs {
    ["app:cors()"] = "a table of options",
    ["app.cors {}"] = "use a colon",
    ["app:cors {}"] = "app:cors needs origins",
    ["app:cors { origins = {} }"] = "app:cors needs origins",
    ["app:cors { origins = 7 }"] = '"origins" is a number',
    ["app:cors { origins = { a = 'x' } }"] = '"origins" is a string or a list',
    ["app:cors { orgins = '*' }"] = 'did you mean "origins"',
    ["app:cors { origins = 'example.com' }"] = 'origin "example.com"',
    ["app:cors { origins = 'https://a/' }"] = "without a slash",
    ["app:cors { origins = 'https://a.*.b' }"] = "whole labels",
    ["app:cors { origins = '*', credentials = true }"] = 'origin "*" cannot go with credentials',
    ["app:cors { origins = 'null', credentials = true }"] = 'origin "null" cannot go',
    ["app:cors { origins = '*', credentials = 1 }"] = '"credentials" is a boolean',
    ["app:cors { origins = 'https://a', expose = '*', credentials = true }"] = 'expose = "*"',
    ["app:cors { origins = '*', methods = 'BREW' }"] = "BREW is no method",
    ["app:cors { origins = '*', headers = { 'a b' } }"] = '"a b" is no name of a header',
    ["app:cors { origins = '*', max_age = -1 }"] = '"max_age" is a whole number',
    ["app:cors { origins = '*', max_age = '1' }"] = '"max_age" is a whole number',
    ["app:cors { origins = '*' } app:cors { origins = '*' }"] = "app:cors was called before",
    ["app:cors { origins = '*' } app:headers { ['Access-Control-Allow-Origin'] = '*' }"] =
      "written by app:cors",
    ["app:headers { ['Access-Control-Allow-Origin'] = '*' } app:cors { origins = '*' }"] =
      "written by app:cors",
    ["app:headers 'x'"] = "a table of name to value",
    ["app:headers { 'x' }"] = "header names are strings",
    ["app:headers { A = true }"] = 'header "A" is a boolean',
    ["app:headers { A = 'x\\r\\nB: y' }"] = "may not be sent",
    ["app:headers { ['A B'] = 'x' }"] = "may not be sent",
    ["app:headers { Date = 'x' }"] = "written by the server",
    ["app:headers { ['content-type'] = 'x' }"] = "belongs to one response",
  } do
    it(("are refused at their line: %s"):format(body), function()
      local err = load_error(body)
      assert.is_truthy(err:find("app.lua:3", 1, true), err)
      assert.is_truthy(err:find(message, 1, true), err)
    end)
  end

  it("are those of a mounted app, which would reach beyond it", function()
    local err = load_error [[
      local inner = perilune.app {}
      inner:headers { A = "1" }
      app:mount("/inner", inner) ]]
    assert.is_truthy(err:find("app.lua:4: app:headers and app:cors are for every", 1, true), err)
  end)

  it("are refused once the app has loaded", function()
    local directory = program.make_directory { ["app.lua"] = [[
      local perilune = require "perilune"
      local app = perilune.app {}
      app:get("/", function() app:headers { A = "1" } end)
      return app]] }
    local server = site.start_at(directory)
    assert.equal(500, server:get("/").status)
    assert.is_truthy(server:wait_log "app:headers is called while the app loads, not later")
    server:kill()
    program.remove_directory(directory)
  end)
end)
