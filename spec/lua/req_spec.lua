-- req_spec.lua - what `req` says of a request, plain, in the pool, and after the request has ended.
--
-- The requests go to spec/apps/req over real HTTP; what no decent client would send goes through a
-- raw socket to a server process. A blocking handler must see the same as a plain one.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local json = require "perilune.json"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local colours = { plain = "", blocking = "/blocking" }

local client

setup(function() client = site.open "req" end)
teardown(function() client:close() end)

for colour, prefix in pairs(colours) do
  local function get(path, options)
    return site.json(client, prefix .. path, options)
  end

  local function post(path, body)
    return client:post(prefix .. path, { body = body })
  end

  describe(("req of a %s handler"):format(colour), function()
    it("has the method", function()
      for _, method in ipairs { "get", "post", "put", "patch", "delete", "options" } do
        assert.equal(method:upper(), client[method](client, prefix .. "/show"):json().method)
      end
      assert.equal(200, client:head(prefix .. "/show").status)
    end)

    it("has path, target, route, url and host", function()
      local seen = get "/show/a%20b%2Fc/7?q=x%20y&q=z"
      assert.equal(prefix .. "/show/a b/c/7", seen.path)
      assert.equal(prefix .. "/show/a%20b%2Fc/7?q=x%20y&q=z", seen.target)
      assert.equal(prefix .. "/show/{word}/{n:int}", seen.route)
      assert.equal(client.url .. prefix .. "/show/a%20b%2Fc/7?q=x%20y&q=z", seen.url)
      assert.equal("127.0.0.1:" .. client.port, seen.host)
      assert.same({ word = "a b/c", n = 7 }, seen.params)
      assert.equal("GET " .. seen.target, seen.text:match "^req: (.*)")
    end)

    it("has version, scheme, address and id", function()
      local first, second = get "/show", get "/show"
      assert.equal("1.1", first.version)
      assert.equal("http", first.scheme)
      assert.equal("127.0.0.1", first.remote_addr)
      assert.is_truthy(first.id:find "^%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x%x$")
      assert.not_equal(first.id, second.id)
    end)

    it("converts parameters of type int", function()
      assert.same({ n = { "integer", "42" } }, get "/int/42")
      assert.same({ n = { "integer", "-7" } }, get "/int/-7")
      assert.same({ n = { "integer", "9223372036854775807" } }, get "/int/9223372036854775807")
      assert.same({ n = { "integer", "-9223372036854775808" } }, get "/int/-9223372036854775808")
      for _, wrong in ipairs { "9223372036854775808", "1.5", "x", "0x10", "1e3", "%20" } do
        assert.equal(404, client:get(prefix .. "/int/" .. wrong).status, wrong)
      end
    end)

    it("converts parameters of type float", function()
      assert.same({ x = { "float", "1.5" } }, get "/float/1.5")
      assert.same({ x = { "float", "-2.0" } }, get "/float/-2")
      assert.same({ x = { "float", "1e+30" } }, get "/float/1e30")
      for _, wrong in ipairs { "x", "nan", "inf", "0x1p4", "1e999" } do
        assert.equal(404, client:get(prefix .. "/float/" .. wrong).status, wrong)
      end
    end)

    it("decodes parameters that are text", function()
      assert.same({ w = { "string", "ä+ü" } }, get "/word/%C3%A4+%c3%bc")
      assert.same({ w = { "string", "a/b" } }, get "/word/a%2Fb")
      assert.same({ p = { "string", "a/b c/d" } }, get "/rest/a/b%20c/d")
      assert.equal(404, client:get(prefix .. "/rest/").status)
    end)

    it("decodes the query", function()
      local seen = get "/show?a=1&b=x+y&c=%C3%A4%26%3D&flag&empty=&a=2&%6Bey=v&=nameless&e=a=b"
      assert.same({ a = "1", b = "x y", c = "ä&=", flag = "", empty = "", key = "v",
        [""] = "nameless", e = "a=b" }, seen.query)
      assert.same({}, get("/show").query)
      assert.same({}, get("/show?").query)
    end)

    it("has every value of a query name and of a header", function()
      local seen = get("/lists?q=1&x=0&q=&q=2+3&q", { headers = { ["x-Word"] = { "a", "b, c" } } })
      assert.same({ "1", "", "2 3", "" }, seen.query)
      assert.same({ "a", "b, c" }, seen.header)
      local empty = client:get(prefix .. "/lists").body
      assert.is_truthy(empty:find('"none":[]', 1, true))
      assert.is_truthy(empty:find('"no_header":[]', 1, true))
    end)

    it("has headers in any case, joined, in lower case for pairs", function()
      local headers = { ["X-Word"] = { "a", "b" }, ["X-Other"] = "Kept As Is" }
      assert.same({ "a, b", "a, b", "a, b", true, true }, get("/any_case", { headers = headers }))
      local seen = get("/show", { headers = headers }).headers
      assert.equal("a, b", seen["x-word"])
      assert.equal("Kept As Is", seen["x-other"])
      assert.equal("127.0.0.1:" .. client.port, seen.host)
      for name in pairs(seen) do assert.equal(name:lower(), name) end
    end)

    it("has a body of any bytes", function()
      local bytes = {}
      for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
      local body = table.concat(bytes):rep(100)
      assert.equal(body, post("/echo", body).body)
      assert.equal("", post("/echo", "").body)
      assert.equal("\0", post("/echo", "\0").body)
      assert.equal(0, get("/show").body_bytes)
    end)

    it("makes its tables once", function()
      assert.same({ true, true, true }, get "/same")
    end)

    it("reads JSON", function()
      local cases = {
        ['{"a":[1,2.0,"x",true,{}]}'] = "table", ["[]"] = "table", [" 7 "] = "integer",
        ["7.0"] = "float", ['"text"'] = "string", ["false"] = "boolean",
        ["9007199254740993"] = "integer",
      }
      for text, kind in pairs(cases) do
        local seen = post("/json", text):json()
        assert.equal(kind, seen.type)
        assert.equal(text:match "^%s*(.-)%s*$", seen.text)
      end
      assert.equal('{"b":1}', post("/json", '{"a":null,"b":1}'):json().text)
    end)

    it("keeps null when asked to", function()
      assert.same({ is_null = true, text = '{"a":null}' }, post("/null", '{"a":null}'):json())
    end)

    it("answers 400 with what is wrong with the JSON", function()
      local cases = {
        ["{"] = "", ['{"a":}'] = "line 1", [""] = "", ["[1] 2"] = "more text behind the value",
        ["{'a':1}"] = "double quotes", ['"\255"'] = "UTF%-8", ["01"] = "leading zero",
      }
      for text, said in pairs(cases) do
        local res = post("/json", text)
        assert.equal(400, res.status, text)
        local detail = res:json().detail
        assert.is_truthy(detail:find "^the request body is not valid JSON: ", detail)
        assert.is_truthy(detail:find(said), detail)
      end
    end)

    it("says when a method is called without its req, or wrongly", function()
      local said = post("/self", "{}"):json()
      for _, method in ipairs { "json", "query_all", "header_all" } do
        local advice = ("req.%s was called without its req: use a colon (req:%s)"):format(method,
          method)
        assert.is_truthy(said[method]:find(advice, 1, true), said[method])
      end
      assert.is_truthy(said.option:find('unknown option "nul" (did you mean "null"?)', 1, true))
      assert.equal("nil", said.unknown)
      assert.is_truthy(said.set:find "app.lua:%d+: .*keep what is yours in req.context.user$")
    end)
  end)
end

describe("req after its request has ended", function()
  it("still has everything", function()
    local sent = client:post("/later?q=1&q=2", { body = "the\0body", headers = {
      ["X-Word"] = { "a", "b" } } })
    assert.equal(204, client:post("/open", { body = "" }).status)
    local kept = wait.wait_until(function()
      local res = client:get "/kept"
      return res.status == 200 and res:json()
    end)
    assert.equal(sent.body, kept.id)
    assert.equal("POST", kept.method)
    assert.equal("/later", kept.path)
    assert.equal("/later?q=1&q=2", kept.target)
    assert.equal("/later", kept.route)
    assert.equal("127.0.0.1", kept.remote_addr)
    assert.equal("the\0body", kept.body)
    assert.equal("a, b", kept.headers["x-word"])
    assert.same({ "1", "2" }, kept.lists.query)
  end)
end)

describe("req of an unusual client", function()
  local server

  setup(function() server = site.start "req" end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  local function ask(bytes)
    local response = raw.request(server.port, bytes)
    assert.equal(200, response.status)
    return json.decode(response.body)
  end

  for colour, prefix in pairs(colours) do
    it(("says version 1.0 and has no host, in a %s handler"):format(colour), function()
      local seen = ask("GET " .. prefix .. "/show HTTP/1.0\r\n\r\n")
      assert.equal("1.0", seen.version)
      assert.equal("", seen.host)
      assert.equal("http://" .. prefix .. "/show", seen.url)
    end)

    it(("takes the host of an absolute target, in a %s handler"):format(colour), function()
      local seen = ask("GET http://other.test:81" .. prefix .. "/show?a=1 HTTP/1.1\r\n"
        .. "Host: ignored\r\n\r\n")
      assert.equal("other.test:81", seen.host)
      assert.equal(prefix .. "/show", seen.path)
      assert.equal("http://other.test:81" .. prefix .. "/show?a=1", seen.url)
    end)

    it(("joins headers of any case, in a %s handler"):format(colour), function()
      local seen = ask("GET " .. prefix .. "/any_case HTTP/1.1\r\nHost: h\r\nX-WORD: a\r\n"
        .. "x-word:  b \r\nX-Word:\r\n\r\n")
      assert.same({ "a, b, ", "a, b, ", "a, b, ", true, true }, seen)
    end)
  end
end)
