-- encoded_files_spec.lua - files without compressed siblings, compressed for who asks for it.
--
-- The app is spec/apps/files; the specs write files of their own into its public/. Heads are looked
-- at byte by byte; bodies are decoded by perilune.http, which is curl, and by gzip.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local files_site = require "support.files_site"
local http = require "perilune.http"
local lfs = require "lfs"
local raw = require "support.raw"

local ENCODE_BYTES_MAX = 1024 * 1024

local app

setup(function() app = files_site.start() end)
teardown(function() files_site.stop(app) end)

local function request(method, target, fields)
  local lines = { ("%s %s HTTP/1.1"):format(method, target), "Host: a", "Content-Length: 0" }
  table.move(fields or {}, 1, #(fields or {}), #lines + 1, lines)
  return table.concat(lines, "\r\n") .. "\r\n\r\n"
end

local function ask(method, target, fields, port)
  return raw.request(port or app.port, request(method, target, fields))
end

local function get(target, accepted, ...)
  return ask("GET", target, { "Accept-Encoding: " .. accepted, ... })
end

local function text(size)
  local line = "a line of text that comes again and again\n"
  return (line:rep(size // #line + 1)):sub(1, size)
end

--- What compresses to more than a quarter of its size, the same each time.
local function digits(size)
  local parts, number = {}, 1
  for at = 0, size - 1, 8 do
    number = (number * 1103515245 + 12345) % 0x80000000
    parts[at // 8 + 1] = ("%08x"):format(number)
  end
  return table.concat(parts):sub(1, size)
end

--- Old files are kept compressed, new ones are not; `age` is in seconds.
local function write(name, bytes, age)
  local path = ("%s/public/%s"):format(app.dir, name)
  files_site.write(path, bytes)
  if age then assert(lfs.touch(path, os.time() - age)) end
  return "/" .. name
end

local function unzip(bytes)
  local path = os.tmpname()
  files_site.write(path, bytes)
  local pipe <close> = assert(io.popen(("gzip -dc < '%s'"):format(path)))
  local plain = pipe:read "a"
  os.remove(path)
  return plain
end

local function fetch(target, coding)
  local url = ("http://127.0.0.1:%d%s"):format(app.port, target)
  return http.get(url, { headers = { ["Accept-Encoding"] = coding } }).body
end

local function assert_encoded(res, coding)
  assert.equal(200, res.status)
  assert.equal(coding, res.headers["content-encoding"])
  assert.equal("Accept-Encoding", res.headers.vary)
  assert.is_nil(res.headers["accept-ranges"])
  assert.is_nil(res.headers["transfer-encoding"])
  assert.is_truthy(res.headers.etag:find(('^"%%x+%%-%%x+%%-%%x+%%-%s"$'):format(coding)))
  assert.is_truthy(res.headers["last-modified"])
end

local function assert_plain(res, size, is_varying)
  assert.equal(200, res.status)
  assert.is_nil(res.headers["content-encoding"])
  assert.equal(is_varying and "Accept-Encoding" or nil, res.headers.vary)
  assert.equal(tostring(size), res.headers["content-length"])
  assert.equal("bytes", res.headers["accept-ranges"])
end

describe("a file", function()
  for _, size in ipairs { 1024, 5000, 12 * 1024 + 1, 100000, ENCODE_BYTES_MAX } do
    for _, age in ipairs { 0, 1000 } do
      it(("of %d bytes, %d seconds old, is compressed for who accepts it"):format(size, age),
        function()
          local body = size == 100000 and digits(size) or text(size)
          local target = write(("text-%d-%d.txt"):format(size, age), body, age)
          for _ = 1, 3 do
            for _, coding in ipairs { "gzip", "br" } do
              local res = get(target, coding)
              assert_encoded(res, coding)
              assert.equal(tostring(#res.body), res.headers["content-length"])
              assert.is_true(#res.body < size * 0.6)
              if coding == "gzip" then assert.is_true(unzip(res.body) == body) end
              assert.is_true(fetch(target, coding) == body)
            end
          end
          local res = get(target, "identity")
          assert_plain(res, size, true)
          assert.is_true(res.body == body)
        end)
    end
  end

  it("comes in the coding that is liked best", function()
    local target = write("liked.css", text(4000), 1000)
    for accepted, coding in pairs { ["gzip, br"] = "br", ["br;q=0.5, gzip"] = "gzip",
      ["*"] = "br", ["br;q=0, *"] = "gzip" } do
      assert_encoded(get(target, accepted), coding)
    end
    for _, accepted in ipairs { "identity, gzip;q=0.5", "gzip;q=0", "deflate", "" } do
      assert_plain(get(target, accepted), 4000, true)
    end
    assert_plain(ask("GET", target), 4000, true)
  end)

  it("that is too small, too large or of another type is sent as it is", function()
    for name, size in pairs { ["small.txt"] = 1023, ["large.txt"] = ENCODE_BYTES_MAX + 1,
      ["pic.png"] = 5000, ["unknown"] = 5000 } do
      assert_plain(get(write(name, text(size)), "gzip, br"), size, false)
    end
  end)

  it("is sent as it is with --compress off", function()
    local server = files_site.start { "--compress", "off" }
    files_site.write(server.dir .. "/public/off.txt", text(5000))
    local res = ask("GET", "/off.txt", { "Accept-Encoding: gzip" }, server.port)
    files_site.stop(server)
    assert_plain(res, 5000, false)
  end)

  it("gives way to its siblings, and takes the place of those that are stale", function()
    local target = write("sibling.js", text(5000), 500)
    write("sibling.js.gz", "pretends to be gzip", 400)
    assert.equal("pretends to be gzip", get(target, "gzip, br").body)
    assert_encoded(get(target, "br"), "br")
    write("sibling.js.gz", "too old", 600)
    local res = get(target, "gzip")
    assert_encoded(res, "gzip")
    assert.equal(text(5000), unzip(res.body))
  end)

  it("that changes has new bytes and a new tag", function()
    local last_tag = '"none"'
    for round, age in ipairs { 900, 800, 700, 0 } do
      local body = ("%d\n"):format(round):rep(10000)
      local target = write("changing.txt", body, age)
      local first = get(target, "gzip")
      assert.is_true(unzip(first.body) == body)
      assert.is_true(unzip(get(target, "gzip").body) == body)
      assert.equal(200, get(target, "gzip", "If-None-Match: " .. last_tag).status)
      last_tag = first.headers.etag
    end
  end)
end)

describe("the conditions on a compressed file", function()
  it("are about the tag of its coding", function()
    local target, tags = write("tagged.html", text(5000), 1000), {}
    for _, coding in ipairs { "identity", "gzip", "br" } do
      local etag = get(target, coding).headers.etag
      assert.is_nil(tags[etag])
      tags[etag] = true
      local res = get(target, coding, "If-None-Match: " .. etag)
      assert.equal(304, res.status)
      assert.equal(etag, res.headers.etag)
      assert.equal("Accept-Encoding", res.headers.vary)
      assert.is_nil(res.headers["content-encoding"])
      assert.equal("", res.body)
      assert.equal(304, get(target, coding, "If-None-Match: W/" .. etag).status)
      assert.equal(412, get(target, coding, 'If-Match: "x"').status)
      assert.equal(200, get(target, coding, "If-Match: " .. etag).status)
    end
    local gzip = get(target, "gzip").headers.etag
    assert_encoded(get(target, "br", "If-None-Match: " .. gzip), "br")
    local modified = get(target, "gzip").headers["last-modified"]
    assert.equal(304, get(target, "gzip", "If-Modified-Since: " .. modified).status)
  end)

  it("ask for parts of the file as it is", function()
    local body = digits(5000)
    local target = write("parts.txt", body, 1000)
    local res = get(target, "gzip, br", "Range: bytes=10-19")
    assert.equal(206, res.status)
    assert.equal(body:sub(11, 20), res.body)
    assert.is_nil(res.headers["content-encoding"])
    assert.equal("Accept-Encoding", res.headers.vary)
    assert.equal("bytes 10-19/5000", res.headers["content-range"])
    assert.equal(get(target, "identity").headers.etag, res.headers.etag)
    local encoded = get(target, "gzip").headers.etag
    res = get(target, "gzip", "Range: bytes=10-19", "If-Range: " .. encoded)
    assert_plain(res, 5000, true)
    assert.is_true(res.body == body)
  end)
end)

describe("HEAD", function()
  it("says what GET does, but for the length of what is compressed", function()
    for _, size in ipairs { 5000, 50000 } do
      local target = write(("head-%d.json"):format(size), text(size), 1000)
      for _, coding in ipairs { "gzip", "br", "identity" } do
        local fields = { "Accept-Encoding: " .. coding }
        local head, got = ask("HEAD", target, fields), ask("GET", target, fields)
        assert.equal(coding == "identity" and tostring(size) or nil,
          head.headers["content-length"])
        for _, res in ipairs { head, got } do
          res.headers.date, res.headers["content-length"] = nil, nil
        end
        assert.same(got.headers, head.headers)
      end
    end
  end)
end)

for _, route in ipairs { "/file", "/blocking", "/wrapped/file" } do
  describe("perilune.file in " .. route, function()
    local function file(options, method, accepted)
      local target = ("%s?path=public/handler.txt&options=%s"):format(route, options)
      return ask(method or "GET", target, { "Accept-Encoding: " .. (accepted or "gzip") })
    end

    setup(function() write("handler.txt", text(20000)) end)

    it("is compressed", function()
      local res = file "plain"
      assert_encoded(res, "gzip")
      assert.is_true(unzip(res.body) == text(20000))
      assert.equal("Cookie, Accept-Encoding", file("headers").headers.vary)
    end)

    it("is left as it is where the handler says so, or has packed it", function()
      for _, options in ipairs { "encoded", "untransformed" } do
        local res = file(options)
        assert.equal(20000, #res.body)
        assert.is_nil(res.headers.vary)
      end
    end)

    it("goes by the type that the handler gives", function()
      local target = route .. "?path=public/large.bin&options="
      assert.is_nil(ask("GET", target .. "plain", { "Accept-Encoding: gzip" })
        .headers["content-encoding"])
      local res = ask("GET", target .. "typed_json", { "Accept-Encoding: gzip" })
      assert_encoded(res, "gzip")
      assert.is_true(unzip(res.body) == files_site.large())
    end)

    it("has the handler's tag, weak when it is compressed", function()
      assert.equal('W/"mine"', file("tagged").headers.etag)
      assert.equal('"mine"', file("tagged", "GET", "identity").headers.etag)
      local target = route .. "?path=public/handler.txt&options=tagged"
      for _, accepted in ipairs { "gzip", "identity" } do
        for _, tag in ipairs { '"mine"', 'W/"mine"' } do
          assert.equal(304, get(target, accepted, "If-None-Match: " .. tag).status)
        end
      end
    end)
  end)
end

describe("compressed files", function()
  it("keep their place among pipelined requests", function()
    local first, second = write("pipe-a.txt", digits(900000)), write("pipe-b.txt", text(3000), 9)
    local connection = raw.connect(app.port)
    local gzip = { "Accept-Encoding: gzip" }
    connection:send(request("GET", first, gzip) .. request("GET", second, gzip)
      .. request("GET", "/hello.txt", gzip) .. request("HEAD", first, gzip)
      .. request("GET", first, { "Accept-Encoding: gzip", "Connection: close" }))
    assert.is_true(unzip(connection:receive_response().body) == digits(900000))
    assert.equal(text(3000), unzip(connection:receive_response().body))
    assert.equal("hello, file", connection:receive_response().body)
    assert.equal("gzip", connection:receive_response(nil, true).headers["content-encoding"])
    assert.is_true(unzip(connection:receive_response().body) == digits(900000))
    assert.is_true(connection:is_closed())
    connection:close()
  end)

  it("may lose their clients", function()
    local new, old = write("lost-new.txt", digits(900000)), write("lost.txt", digits(900000), 1000)
    for _ = 1, 10 do
      for _, target in ipairs { new, old } do
        local connection = raw.connect(app.port)
        connection:send(request("GET", target, { "Accept-Encoding: br" }):rep(3))
        connection:reset()
      end
    end
    assert.is_true(unzip(get(old, "gzip").body) == digits(900000))
  end)

  it("are sent before the server stops", function()
    local server = files_site.start()
    files_site.write(server.dir .. "/public/last.txt", digits(900000))
    local connection = raw.connect(server.port)
    connection:send(request("GET", "/last.txt", { "Accept-Encoding: gzip" }))
    ask("GET", "/hello.txt", {}, server.port)
    server:signal "TERM"
    assert.is_true(unzip(connection:receive_response(30).body) == digits(900000))
    assert.equal(0, server:wait())
    connection:close()
    files_site.remove(server.dir)
  end)
end)
