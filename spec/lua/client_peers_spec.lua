-- client_peers_spec.lua - perilune.http against servers of others: Node, and nginx.
--
-- Certificates are made here by openssl, with an authority of their own. What is not installed is
-- skipped.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = ("%s/?.lua;%s/apps/client/?.lua;%s"):format(spec, spec, package.path)

local async = require "perilune.async"
local expect = require "expect"
local http = require "perilune.http"
local json = require "perilune.json"
local peer = require "support.peer"
local program = require "support.program"

--- Ends nginx, which does not read its input, with that input.
local NGINX = [[
  nginx -p "$1" -c "$1/nginx.conf" -e "$1/error.log" &
  while kill -0 $! && ! [ -S "$1/unix" ]; do sleep 0.01; done
  echo ready
  cat >/dev/null
  kill $!]]

local TEXT = ("perilune "):rep(20000)

describe("Node", function()
  if not (peer.is_there "node" and peer.is_there "openssl") then
    return pending "needs node and openssl"
  end

  local directory, node, url, ca_file

  setup(function()
    directory = program.make_directory()
    peer.make_certificate(directory)
    node = peer.start { "node", program.root() .. "/spec/support/peer.mjs",
      directory .. "/key.pem", directory .. "/certificate.pem", directory .. "/unix" }
    local ports = json.decode(node.first_line)
    ca_file = directory .. "/ca.pem"
    url = { tls = ("https://127.0.0.1:%d"):format(ports.tls) }
    for _, name in ipairs { "plain", "raw", "proxy" } do
      url[name] = ("http://127.0.0.1:%d"):format(ports[name])
    end
  end)
  teardown(function()
    node:stop()
    peer.run { "rm", "-r", directory }
  end)

  local function connections(name)
    return http.get(url.plain .. "/connections"):json()[name]
  end

  describe("with HTTP/1.1", function()
    it("keeps one connection for one request after the other", function()
      local before = connections "plain"
      for _ = 1, 20 do assert.equal("hi 1.1", http.get(url.plain .. "/hi").body) end
      assert.equal(before, connections "plain")
      assert.equal("closed", http.get(url.plain .. "/close").body)
      assert.equal("hi 1.1", http.get(url.plain .. "/hi").body)
      assert.is_true(connections "plain" > before)
    end)

    it("sends what was compressed, and what claims to be", function()
      for _, coding in ipairs { "gzip", "br", "deflate" } do
        local res = http.get(url.plain .. "/" .. coding)
        assert.equal(coding, res.headers["content-encoding"])
        assert.equal(TEXT, res.body)
        local pieces = {}
        res = http.get(url.plain .. "/" .. coding, { stream = true })
        for piece in res:chunks() do pieces[#pieces + 1] = piece end
        assert.equal(TEXT, table.concat(pieces))
      end
      local err = expect.fails_with("http", "/broken-gzip: ", http.get, url.plain .. "/broken-gzip")
      assert.is_truthy(err.code_name == "CURLE_BAD_CONTENT_ENCODING"
        or err.code_name == "CURLE_WRITE_ERROR")
    end)

    it("counts what was decoded against max_body", function()
      expect.fails_with("http", "the response is larger than 10 KiB", http.get,
        url.plain .. "/gzip", { max_body = "10k" })
    end)

    it("gives hints first", function()
      local res = http.get(url.plain .. "/early")
      assert.same({ 200, "late" }, { res.status, res.body })
      assert.is_nil(res.headers.link)
      res = http.get(url.plain .. "/early", { stream = true })
      assert.same({ 200, "late" }, { res.status, (res:chunks())() })
    end)

    it("cuts a response", function()
      local err = expect.fails_with("http", "/cut: ", http.get, url.plain .. "/cut")
      assert.same({ 18, "CURLE_PARTIAL_FILE" }, { err.code, err.code_name })
      local res = http.get(url.plain .. "/cut", { stream = true })
      local next_piece, text = res:chunks(), ""
      err = expect.fails_with("http", "/cut: ", function()
        for piece in next_piece do text = text .. piece end
      end)
      assert.same({ 18, "begin" }, { err.code, text })
      expect.fails_with("http", "/cut: ", next_piece)
    end)

    it("is asked again where nothing came", function()
      local key = expect.new_key()
      local res = http.get(url.plain .. "/second?" .. key,
        { retries = 1, backoff = { initial = 0.001 } })
      assert.is_true(tonumber(res.body) >= 2)
    end)

    it("answers at a Unix socket", function()
      local res = http.get("http://example.test/x", { unix_socket = directory .. "/unix" })
      assert.equal("unix example.test", res.body)
      local err = expect.fails_with("http", "GET http://example.test/", http.get,
        "http://example.test/", { unix_socket = directory .. "/none" })
      assert.equal("CURLE_COULDNT_CONNECT", err.code_name)
    end)
  end)

  describe("with bytes of its own", function()
    it("may end with the connection", function()
      assert.equal("all of it", http.get(url.raw .. "/until-close").body)
      assert.equal("abc", http.get(url.raw .. "/trailer").body)
    end)

    it("may be no HTTP", function()
      for path, name in pairs { ["/bad-chunk"] = "RECV_ERROR", ["/cut-chunk"] = "PARTIAL_FILE",
        ["/nothing"] = "GOT_NOTHING", ["/old"] = "UNSUPPORTED_PROTOCOL",
        ["/many"] = "WRITE_ERROR" } do
        local err = expect.fails_with("http", "GET " .. url.raw .. path .. ": ", http.get,
          url.raw .. path)
        assert.equal("CURLE_" .. name, err.code_name, path .. err.message)
      end
    end)
  end)

  describe("with TLS", function()
    it("is trusted only when its authority is", function()
      for _, options in ipairs { {}, { retries = 3 } } do
        local err = expect.fails_with("http", "certificate", http.get, url.tls .. "/hi", options)
        assert.same({ 60, "CURLE_PEER_FAILED_VERIFICATION" }, { err.code, err.code_name })
      end
      assert.equal("hi 2.0", http.get(url.tls .. "/hi", { ca_file = ca_file }).body)
      assert.equal("hi 2.0", http.get(url.tls .. "/hi", { verify = false }).body)
      expect.fails_with("http", "", http.get, url.tls .. "/hi")
      local api = http.client { base_url = url.tls, ca_file = ca_file }
      assert.equal("hi 2.0", api:get("/hi").body)
      local err = expect.fails_with("http", "", http.get, url.tls .. "/hi",
        { ca_file = directory .. "/none.pem" })
      assert.equal("CURLE_SSL_CACERT_BADFILE", err.code_name)
    end)

    it("is trusted by a directory of authorities", function()
      local path = directory .. "/authorities"
      peer.run { "mkdir", path }
      peer.run { "cp", ca_file, path }
      peer.run { "openssl", "rehash", path }
      assert.equal("hi 2.0", http.get(url.tls .. "/hi", { ca_path = path }).body)
    end)

    it("has to be the one that was asked for", function()
      local elsewhere = url.tls:gsub("127%.0%.0%.1", "localhost")
      local err = expect.fails_with("http", "", http.get, elsewhere .. "/hi", { ca_file = ca_file })
      assert.equal("CURLE_PEER_FAILED_VERIFICATION", err.code_name)
    end)

    it("takes many requests over one connection of HTTP/2", function()
      local api = http.client { base_url = url.tls, ca_file = ca_file }
      local before = connections "tls"
      local calls = {}
      for i = 1, 100 do calls[i] = { api.get, api, "/hi" } end
      for _, res in ipairs(async.gather(calls)) do assert.equal("hi 2.0", res.body) end
      assert.is_true(connections "tls" - before <= 1)
    end)

    it("takes bodies and streams over HTTP/2", function()
      local api = http.client { base_url = url.tls, ca_file = ca_file }
      local pieces = { ("a"):rep(100000), ("b"):rep(10), ("c"):rep(100000) }
      local res = api:post("/echo", { body = expect.each(pieces) })
      assert.equal(table.concat(pieces), res.body)
      assert.equal("text", api:put("/echo", { body = "text" }).body)
      program.write(directory .. "/file", ("line\n"):rep(100000))
      local form = api:post("/echo", { multipart = { a = { path = directory .. "/file" } } }).body
      assert.is_truthy(form:find(program.read(directory .. "/file"), 1, true))
      local stream <close> = api:get("/flood", { stream = true })
      local next_piece = stream:chunks()
      local bytes = #next_piece()
      assert.equal("hi 2.0", api:get("/hi").body) -- the stream stands still meanwhile
      for piece in next_piece do bytes = bytes + #piece end
      assert.equal(512 * 65536, bytes)
    end)
  end)

  it("is a proxy that the environment names", function()
    local chunk = ([[
      local http = require "perilune.http"
      it("goes through it", function()
        assert.equal("proxied http://example.test/x", http.get("http://example.test/x").body)
        local res = http.get("https://example.test/hi", { ca_file = "%s" })
        assert.equal("hi 2.0", res.body)
        assert.is_nil(res.headers["x-proxy"])
        res = http.get("https://example.test/hi", { ca_file = "%s", stream = true })
        assert.equal("hi 2.0", (res:chunks())())
        assert.equal("hi 1.1", http.get("%s/hi").body) -- not for the loopback
        assert.is_false(pcall(http.get, "http://none.test/", { timeout = 5 }))
      end)]]):format(ca_file, ca_file, url.plain)
    local path = directory .. "/proxy_spec.lua"
    local file <close> = assert(io.open(path, "w"))
    file:write(chunk)
    file:close()
    local result = program.run({ "test", "spec", path }, { "http_proxy=" .. url.proxy,
      "https_proxy=" .. url.proxy, "no_proxy=none.test" })
    assert.equal(0, result.code, result.out .. result.err)
  end)
end)

describe("nginx", function()
  if not peer.is_there "nginx" then return pending "needs nginx" end

  local directory, nginx, url, tls

  setup(function()
    directory = program.make_directory()
    peer.make_certificate(directory)
    local path = directory .. "/unix"
    local file <close> = assert(io.open(directory .. "/nginx.conf", "w"))
    local text = ([[
      daemon off; master_process off; pid DIR/pid; error_log DIR/error.log;
      events {}
      http {
        access_log off; gzip on; gzip_min_length 1; gzip_types *;
        client_body_temp_path DIR/body; proxy_temp_path DIR/proxy; fastcgi_temp_path DIR/fastcgi;
        uwsgi_temp_path DIR/uwsgi; scgi_temp_path DIR/scgi;
        server {
          listen unix:DIR/unix; client_max_body_size 1k;
          location /text { return 200 "]] .. TEXT:sub(1, 2000) .. [["; }
          location /loop { return 302 /loop; }
          location /slow { gzip off; limit_rate 1; return 200 "]] .. TEXT:sub(1, 2000) .. [["; }
          location /body { proxy_pass http://unix:DIR/none; }
        }
        server {
          listen unix:DIR/tls ssl http2;
          ssl_certificate DIR/certificate.pem; ssl_certificate_key DIR/key.pem;
          location / { gzip off; return 200 "$server_protocol"; }
        }
      }]]):gsub("DIR", directory)
    file:write(text)
    file:close()
    nginx = peer.start { "sh", "-c", NGINX, "sh", directory }
    assert.equal("ready", nginx.first_line)
    url = http.client { base_url = "http://example.test", unix_socket = path }
    tls = http.client { base_url = "https://example.test", unix_socket = directory .. "/tls" }
  end)
  teardown(function()
    nginx:stop()
    peer.run { "rm", "-r", directory }
  end)

  it("sends what it compressed", function()
    local res = url:get "/text"
    assert.equal("gzip", res.headers["content-encoding"])
    assert.equal(TEXT:sub(1, 2000), res.body)
  end)

  it("is slower than it may be", function()
    expect.fails_with("timeout", "no complete response within", url.get, url, "/slow",
      { timeout = expect.SHORT })
  end)

  it("is trusted only when its authority is, and speaks HTTP/2", function()
    local err = expect.fails_with("http", "certificate", tls.get, tls, "/")
    assert.equal("CURLE_PEER_FAILED_VERIFICATION", err.code_name)
    local res = tls:get("/", { ca_file = directory .. "/ca.pem" })
    assert.equal("HTTP/2.0", res.body)
  end)

  it("redirects for ever", function()
    expect.fails_with("http", "redirects", url.get, url, "/loop", { follow_redirects = 5 })
  end)

  it("refuses a body before it has all come", function()
    local function piece() return ("x"):rep(1000) end
    assert.equal(413, url:post("/body", { body = piece }).status)
    assert.equal(413, url:post("/body", { body = ("x"):rep(2000) }).status)
    assert.equal(502, url:post("/body", { body = "x" }).status)
  end)
end)
