-- static_spec.lua - app:static and public/ over real HTTP: what is served, how, and what never is.
--
-- One server for all; requests are written byte by byte. The rules of conditions and ranges have
-- tables of their own in spec/c (conditional_spec, range_spec); here is that they are obeyed.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local files_site = require "support.files_site"
local program = require "support.program"
local raw = require "support.raw"

local app

setup(function() app = files_site.start() end)
teardown(function() files_site.stop(app) end)

--- One request on a connection of its own; `fields` are whole lines.
local function ask(method, target, fields)
  local lines = { ("%s %s HTTP/1.1"):format(method, target), "Host: a" }
  table.move(fields or {}, 1, #(fields or {}), #lines + 1, lines)
  return raw.request(app.port, table.concat(lines, "\r\n") .. "\r\n\r\n")
end

local function get(target, fields)
  return ask("GET", target, fields)
end

describe("a static file", function()
  it("comes with its type, size and validators", function()
    local res = get "/hello.txt"
    assert.equal(200, res.status)
    assert.equal("hello, file", res.body)
    assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
    assert.equal("11", res.headers["content-length"])
    assert.equal("bytes", res.headers["accept-ranges"])
    assert.is_truthy(res.headers["etag"]:find '^"b%-%x+%-%x+"$', res.headers["etag"])
    assert.is_truthy(res.headers["last-modified"]:find "GMT$")
    assert.is_nil(res.headers["vary"])
    assert.is_nil(res.headers["cache-control"])
    assert.is_nil(res.headers["transfer-encoding"])
  end)

  for target, body in pairs {
    ["/"] = "<p>home</p>", ["/?a=b"] = "<p>home</p>", ["/index.html"] = "<p>home</p>",
    ["/sub/"] = "<p>sub</p>", ["/a%20b+c.txt"] = "odd name", ["/caf%C3%A9.txt"] = "utf-8 name",
    ["/empty.txt"] = "", ["/.well-known/thing"] = "well known", ["/link.txt"] = "hello, file",
    ["/link-sub/"] = "<p>sub</p>", ["/%68ello.txt"] = "hello, file",
    ["http://a/hello.txt"] = "hello, file", ["/assets/inner/deep.txt"] = "deep",
    ["/assets/only-public.txt"] = "behind the mounts", ["/route.txt"] = "the route",
    ["/posted.txt"] = "gotten", ["/docs/"] = "the docs' route", ["/dotted/.hidden"] = "hidden",
    ["/dotted/hello.txt"] = "hello, file", ["/mounted/files/deep.txt"] = "deep",
  } do
    it("is served at " .. target, function()
      local res = get(target)
      assert.equal(200, res.status)
      assert.equal(body, res.body)
    end)
  end

  it("that is large comes whole", function()
    local res = get "/large.bin"
    assert.equal(200, res.status)
    assert.is_true(res.body == files_site.large())
    assert.equal("application/octet-stream", res.headers["content-type"])
  end)

  for _, target in ipairs { "/hello.txt", "/large.bin", "/empty.txt", "/assets/app.js" } do
    it("has the same head for HEAD: " .. target, function()
      local whole, head = get(target), ask("HEAD", target)
      assert.equal("", head.body)
      whole.headers.date, head.headers.date = nil, nil
      assert.same(whole.headers, head.headers)
    end)
  end

  it("is followed by what comes behind it on the connection", function()
    local client <close> = setmetatable({ raw.connect(app.port) },
      { __close = function(self) self[1]:close() end })
    local names = { "/large.bin", "/hello.txt", "/nothing", "/route.txt", "/large.bin" }
    local requests = {}
    for _, name in ipairs(names) do
      requests[#requests + 1] = ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n"):format(name)
    end
    client[1]:send(table.concat(requests))
    local sizes = {}
    for i = 1, #names do sizes[i] = #client[1]:receive_response().body end
    assert.same({ files_site.LARGE_BYTES, 11, #"nothing at /nothing", 9, files_site.LARGE_BYTES },
      sizes)
  end)

  it("is answered to HTTP/1.0 with a length", function()
    local client = raw.connect(app.port)
    client:send "GET /large.bin HTTP/1.0\r\n\r\n"
    local res = client:receive_response()
    assert.equal(files_site.LARGE_BYTES, #res.body)
    assert.equal("close", res.headers["connection"])
    assert.is_true(client:is_closed())
    client:close()
  end)

  it("has another entity tag when it has changed", function()
    local path = app.dir .. "/public/changing.txt"
    files_site.write(path, "one")
    local before = get("/changing.txt").headers.etag
    assert.equal(before, get("/changing.txt").headers.etag)
    files_site.write(path, "two!")
    assert.not_equal(before, get("/changing.txt").headers.etag)
    os.remove(path)
    assert.equal(404, get("/changing.txt").status)
  end)
end)

describe("what is not served:", function()
  local targets = {
    "/../secret.txt", "/../../secret.txt", "/sub/../../secret.txt", "/./hello.txt",
    "/%2e%2e/secret.txt", "/%2E%2E/%2e%2e/secret.txt", "/.%2e/secret.txt", "/%2e./secret.txt",
    "/..%2fsecret.txt", "/..%2Fsecret.txt", "/%2e%2e%2fsecret.txt", "/sub%2f..%2f..%2fsecret.txt",
    "/..%5csecret.txt", "/..%5C..%5Csecret.txt", "/%5c..%5csecret.txt", "/..\\secret.txt",
    "/%252e%252e/secret.txt", "/%252e%252e%252fsecret.txt", "/..%252fsecret.txt",
    "/%c0%ae%c0%ae/secret.txt", "/..%c0%afsecret.txt", "/%e0%80%ae%e0%80%ae/secret.txt",
    "/%u002e%u002e/secret.txt", "/..;/secret.txt", "/....//secret.txt", "/..../secret.txt",
    "/secret.txt%00", "/hello.txt%00", "/hello.txt%00.html", "/%00/hello.txt", "/..%00/secret.txt",
    "//etc/passwd", "/%2Fetc/passwd", "///etc/passwd", "/sub//index.html", "//hello.txt",
    "http://a/../secret.txt", "http://a/%2e%2e/secret.txt", "/assets/../../secret.txt",
    "/assets/..%2f..%2fsecret.txt", "/assets/%2e%2e/%2e%2e/secret.txt", "/assets../secret.txt",
    "/dotted/../../secret.txt", "/dotted/%2e%2e/%2e%2e/secret.txt", "/dotted/..",
    "/mounted/files/../../secret.txt",
    "/out.txt", "/up/secret.txt", "/up/up/secret.txt", "/up/app.lua", "/absolute.txt",
    "/dangling.txt", "/zero", "/environ", "/fifo", "/app.lua", "/.hidden", "/%2ehidden",
    "/sub/bare", "/sub/bare/", "/hello.txt/", "/hello.txt/x", "/Hello.txt", "/nothing",
    "/" .. ("a"):rep(300), "/" .. ("a/"):rep(2000),
  }
  for i, target in ipairs(targets) do
    it(("%d. %s"):format(i, target:sub(1, 60)), function()
      local res = get(target)
      -- What the request's own rules refuse does not come as far as the files.
      assert.is_truthy(res.status == 404 or res.status == 400, res.status)
      assert.is_nil(res.body:find(files_site.SECRET, 1, true))
      assert.is_nil(res.headers["last-modified"])
    end)
  end

  it("and the server still serves", function()
    assert.equal("hello, file", get("/hello.txt").body)
    assert.is_nil(app:log():find "error")
  end)
end)

describe("a directory", function()
  for target, location in pairs {
    ["/sub"] = "/sub/", ["/sub?a=b"] = "/sub/?a=b", ["/link-sub"] = "/link-sub/",
    ["/%73ub"] = "/%73ub/", ["/docs"] = "/docs/", ["/dotted"] = "/dotted/",
  } do
    it("is sent to its slash: " .. target, function()
      local res = get(target)
      assert.equal(308, res.status)
      assert.equal(location, res.headers.location)
    end)
  end

  it("never sends to another host", function()
    for _, target in ipairs {
      "//sub", "/\\sub", "//a.example/..", "/%5csub", "//a.example/%2e%2e",
    } do
      local res = get(target)
      assert.is_truthy(res.status == 404 or res.status == 400, target)
      assert.is_nil(res.headers.location)
    end
  end)
end)

describe("other methods", function()
  for _, method in ipairs { "POST", "PUT", "DELETE", "PATCH" } do
    it("are not allowed where there is a file: " .. method, function()
      local res = ask(method, "/hello.txt", { "Content-Length: 0" })
      assert.equal(405, res.status)
      assert.equal("GET, HEAD, OPTIONS", res.headers.allow)
    end)

    it("find nothing where there is none: " .. method, function()
      assert.equal(404, ask(method, "/nothing.txt", { "Content-Length: 0" }).status)
    end)
  end

  it("are told by OPTIONS", function()
    local res = ask("OPTIONS", "/hello.txt")
    assert.equal(204, res.status)
    assert.equal("GET, HEAD, OPTIONS", res.headers.allow)
    assert.equal(204, ask("OPTIONS", "*").status)
  end)

  it("belong to the route of the same path", function()
    assert.equal("posted", ask("POST", "/posted.txt", { "Content-Length: 0" }).body)
    local res = ask("DELETE", "/posted.txt")
    assert.equal(405, res.status)
    assert.equal("POST, OPTIONS", res.headers.allow)
  end)
end)

describe("a missing file", function()
  it("is what app:on_status says", function()
    local res = get "/nothing"
    assert.equal(404, res.status)
    assert.equal("nothing at /nothing", res.body)
  end)
end)

describe("conditions", function()
  local etag, modified

  before_each(function()
    local headers = get("/hello.txt").headers
    etag, modified = headers.etag, headers["last-modified"]
  end)

  it("are obeyed", function()
    local long_ago = "Sun, 06 Nov 1994 08:49:37 GMT"
    for field, status in pairs {
      ["If-None-Match: " .. etag] = 304, ["If-None-Match: W/" .. etag] = 304,
      ["If-None-Match: *"] = 304, ['If-None-Match: "x", ' .. etag] = 304,
      ['If-None-Match: "x"'] = 200, ["If-Modified-Since: " .. modified] = 304,
      ["If-Modified-Since: " .. long_ago] = 200, ["If-Modified-Since: x"] = 200,
      ["If-Match: " .. etag] = 200, ['If-Match: "x"'] = 412, ["If-Match: *"] = 200,
      ["If-Unmodified-Since: " .. long_ago] = 412, ["If-Unmodified-Since: " .. modified] = 200,
    } do
      for _, method in ipairs { "GET", "HEAD" } do
        assert.equal(status, ask(method, "/hello.txt", { field }).status, method .. " " .. field)
      end
    end
  end)

  it("give a 304 the validators and nothing of the body", function()
    local res = get("/assets/app.js", { "If-None-Match: " .. get("/assets/app.js").headers.etag })
    assert.equal(304, res.status)
    assert.equal("", res.body)
    assert.is_truthy(res.headers.etag)
    assert.equal("Accept-Encoding", res.headers.vary)
    assert.equal("public, max-age=3600, immutable", res.headers["cache-control"])
    for _, name in ipairs { "content-length", "content-type", "content-encoding" } do
      assert.is_nil(res.headers[name], name)
    end
  end)

  it("leave the connection usable", function()
    local client = raw.connect(app.port)
    for _ = 1, 3 do
      client:send(("GET /large.bin HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n"
        .. "GET /hello.txt HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n"):rep(2))
      for _, status in ipairs { 304, 412, 304, 412 } do
        assert.equal(status, client:receive_response().status)
      end
    end
    client:close()
  end)
end)

describe("ranges", function()
  for _, case in ipairs {
    { "bytes=0-7", 0, 7 }, { "bytes=8-15", 8, 15 }, { "bytes=299999-", 299999, 299999 },
    { "bytes=-1", 299999, 299999 }, { "bytes=0-", 0, 299999 }, { "bytes=1-999999", 1, 299999 },
    { "bytes=100-200099", 100, 200099 }, { "bytes=0-0,999999-", 0, 0 },
  } do
    it("give that part: " .. case[1], function()
      local res = get("/large.bin", { "Range: " .. case[1] })
      assert.equal(206, res.status)
      assert.equal(("bytes %d-%d/300000"):format(case[2], case[3]), res.headers["content-range"])
      assert.is_true(res.body == files_site.large():sub(case[2] + 1, case[3] + 1))
      assert.is_truthy(res.headers.etag)
    end)
  end

  for _, target in ipairs { "/large.bin", "/hello.txt" } do
    it("give several parts as multipart/byteranges: " .. target, function()
      local whole = get(target)
      local res = get(target, { "Range: bytes=0-3, 6-6,-2" })
      assert.equal(206, res.status)
      assert.is_nil(res.headers["content-range"])
      local boundary = res.headers["content-type"]:match "^multipart/byteranges; boundary=(%x+)$"
      local size, expected = #whole.body, {}
      for _, range in ipairs { { 0, 3 }, { 6, 6 }, { size - 2, size - 1 } } do
        expected[#expected + 1] = ("\r\n--%s\r\nContent-Type: %s\r\n"
          .. "Content-Range: bytes %d-%d/%d\r\n\r\n%s"):format(boundary,
          whole.headers["content-type"], range[1], range[2], size,
          whole.body:sub(range[1] + 1, range[2] + 1))
      end
      expected[#expected + 1] = ("\r\n--%s--\r\n"):format(boundary)
      assert.equal(table.concat(expected), res.body)
    end)
  end

  it("that are not there give 416", function()
    local res = get("/large.bin", { "Range: bytes=300000-" })
    assert.equal(416, res.status)
    assert.equal("bytes */300000", res.headers["content-range"])
  end)

  it("that are malformed, too many or overlapping are ignored", function()
    for _, value in ipairs { "bytes=4-2", "items=0-1", "bytes=0-9,0-299999", "bytes=",
      "bytes=" .. ("0-0,"):rep(100) } do
      assert.equal(200, get("/large.bin", { "Range: " .. value }).status, value)
    end
  end)

  it("are not for HEAD", function()
    local res = ask("HEAD", "/large.bin", { "Range: bytes=0-7" })
    assert.equal(200, res.status)
    assert.equal("300000", res.headers["content-length"])
  end)

  it("depend on If-Range", function()
    local etag = get("/large.bin").headers.etag
    local function status(if_range)
      return get("/large.bin", { "Range: bytes=0-7", "If-Range: " .. if_range }).status
    end
    assert.equal(206, status(etag))
    assert.equal(200, status('"x"'))
    assert.equal(200, status("W/" .. etag))
  end)

  it("come after the conditions", function()
    assert.equal(304, get("/large.bin", { "Range: bytes=0-7", "If-None-Match: *" }).status)
    assert.equal(412, get("/large.bin", { "Range: bytes=0-7", 'If-Match: "x"' }).status)
  end)
end)

describe("compressed siblings", function()
  for accepted, expected in pairs {
    ["br, gzip"] = { "br", "pretends to be brotli" }, gzip = { "gzip", "pretends to be gzip" },
    ["gzip, br;q=0.5"] = { "gzip", "pretends to be gzip" },
    ["br;q=0, *"] = { "gzip", "pretends to be gzip" }, identity = {}, deflate = {},
    ["gzip;q=0, br;q=0"] = {},
  } do
    it("are chosen by Accept-Encoding: " .. accepted, function()
      local res = get("/assets/app.js", { "Accept-Encoding: " .. accepted })
      assert.equal(200, res.status)
      assert.equal(expected[1], res.headers["content-encoding"])
      assert.equal(expected[2] or ("let a = 1;\n"):rep(200), res.body)
      assert.equal("text/javascript; charset=utf-8", res.headers["content-type"])
      assert.equal("Accept-Encoding", res.headers.vary)
    end)
  end

  it("have entity tags of their own, and ranges", function()
    local tags = {}
    for _, accepted in ipairs { "identity", "gzip", "br" } do
      local field = "Accept-Encoding: " .. accepted
      local etag = get("/assets/app.js", { field }).headers.etag
      assert.is_nil(tags[etag])
      assert.is_nil(etag:find "^W/")
      tags[etag] = true
      assert.equal(304, get("/assets/app.js", { field, "If-None-Match: " .. etag }).status)
    end
    local res = get("/assets/app.js", { "Accept-Encoding: br", "Range: bytes=0-7" })
    assert.equal(206, res.status)
    assert.equal("pretends", res.body)
    assert.equal("br", res.headers["content-encoding"])
  end)

  it("may be one", function()
    local res = get("/assets/only-gz.css", { "Accept-Encoding: br, gzip" })
    assert.equal("gzip again", res.body)
    res = get("/assets/only-gz.css", { "Accept-Encoding: br" })
    assert.equal("body { color: red }", res.body)
    assert.equal("Accept-Encoding", res.headers.vary)
  end)

  it("that are older than the file, no files, or of packed types are not taken", function()
    for _, target in ipairs { "/assets/stale.js", "/assets/dir.js", "/assets/pic.png" } do
      local res = get(target, { "Accept-Encoding: gzip" })
      assert.is_nil(res.headers["content-encoding"], target)
      assert.is_nil(res.headers.vary, target)
    end
  end)

  it("can be asked for by name", function()
    local res = get "/assets/app.js.gz"
    assert.equal("application/gzip", res.headers["content-type"])
    assert.is_nil(res.headers["content-encoding"])
  end)
end)

describe("app:static", function()
  it("adds its headers", function()
    assert.equal("public, max-age=3600, immutable", get("/assets/app.js").headers["cache-control"])
    local res = get "/assets/inner/deep.txt"
    assert.equal("inner, twice", res.headers["x-mount"])
    assert.is_nil(res.headers["cache-control"])
    assert.is_nil(get("/assets/inner/none").headers["x-mount"])
  end)

  local function load_error(body)
    local directory = program.make_directory {
      ["app.lua"] = 'local perilune = require "perilune"\nlocal app = perilune.app {}\n' .. body
        .. "\nreturn app",
    }
    local result = program.run { "routes", directory }
    program.remove_directory(directory)
    assert.equal(1, result.code, result.out)
    return result.err
  end

  for body, parts in pairs {
    ['app:static("/a", "missing")'] = { "app.lua:3: ", "missing", "No such file" },
    ['app:static("/a", "app.lua")'] = { "app.lua:3: ", "Not a directory" },
    ['app:static("a", ".")'] = { "app.lua:3: ", "slash" },
    ['app:static("/{a}", ".")'] = { "app.lua:3: ", "parameters" },
    ['app:static("/a%20b", ".")'] = { "app.lua:3: ", "plain path" },
    ['app:static("/a", ".", { maxage = 3 })'] = { "app.lua:3: ", '"max_age"' },
    ['app:static("/a", ".", { max_age = -1 })'] = { "app.lua:3: ", "whole number of seconds" },
    ['app:static("/a", ".", { immutable = true })'] = { "app.lua:3: ", "needs max_age" },
    ['app:static("/a", ".", { headers = { ["A b"] = "c" } })'] = { "app.lua:3: ", "A b" },
    ['app:static("/a", ".", { headers = { Date = "c" } })'] = { "app.lua:3: ", "server itself" },
    ['app:static("/a", 7)'] = { "app.lua:3: ", "a directory" },
    ['app:static("/a", ".", 7)'] = { "app.lua:3: ", "options" },
    ['app:static("/a", ".")\napp:static("/a/", ".")'] = {
      "app.lua:4: ", "/a already", "app.lua:3",
    },
    ['app.static("/a", ".")'] = { "app.lua:3: ", "use a colon" },
  } do
    it("refuses " .. body:gsub("\n", " "), function()
      local message = load_error(body)
      for _, part in ipairs(parts) do assert.is_truthy(message:find(part, 1, true), message) end
    end)
  end
end)
