-- file_response_spec.lua - perilune.file: files that handlers answer with, plain and blocking.
--
-- The app is spec/apps/files; what a handler's mistake says is read in its log.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local files_site = require "support.files_site"
local perilune = require "perilune"
local raw = require "support.raw"
local wait = require "support.wait"

local app

setup(function() app = files_site.start() end)
teardown(function() files_site.stop(app) end)

local function escape(text)
  return (text:gsub("[^%w/._-]", function(byte) return ("%%%02X"):format(byte:byte()) end))
end

local function request(method, route, path, options, fields)
  local target = ("%s?path=%s&options=%s"):format(route, escape(path), options or "plain")
  local lines = { ("%s %s HTTP/1.1"):format(method, target), "Host: a", "Content-Length: 0" }
  table.move(fields or {}, 1, #(fields or {}), #lines + 1, lines)
  return raw.request(app.port, table.concat(lines, "\r\n") .. "\r\n\r\n")
end

local function get(path, options, fields)
  return request("GET", "/file", path, options, fields)
end

for _, route in ipairs { "/file", "/blocking", "/wrapped/file" } do
  describe("perilune.file in " .. route, function()
    it("answers with the file", function()
      local res = request("GET", route, "public/hello.txt")
      assert.equal(200, res.status)
      assert.equal("hello, file", res.body)
      assert.equal("text/plain; charset=utf-8", res.headers["content-type"])
      assert.is_truthy(res.headers.etag)
      assert.equal("bytes", res.headers["accept-ranges"])
    end)

    it("answers with a large one", function()
      assert.is_true(request("GET", route, "public/large.bin").body == files_site.large())
    end)

    it("obeys conditions and ranges", function()
      local path = "public/large.bin"
      assert.equal(304, request("GET", route, path, nil, { "If-None-Match: *" }).status)
      local res = request("GET", route, path, nil, { "Range: bytes=8-15" })
      assert.equal(206, res.status)
      assert.equal("00000008", res.body)
      assert.equal(416, request("GET", route, path, nil, { "Range: bytes=999999-" }).status)
      assert.equal(412, request("GET", route, path, nil, { 'If-Match: "x"' }).status)
    end)

    it("answers HEAD", function()
      local res = request("HEAD", route, "public/large.bin")
      assert.equal("300000", res.headers["content-length"])
    end)

    it("is 404 when there is none", function()
      local res = request("GET", route, "public/none.txt")
      assert.equal(404, res.status)
      assert.equal('{"detail":"Not Found"}', res.body)
    end)
  end)
end

describe("perilune.file", function()
  it("takes the whole file for other methods than GET and HEAD", function()
    local fields = { "If-None-Match: *", "Range: bytes=0-1" }
    local res = request("POST", "/file", "public/hello.txt", nil, fields)
    assert.equal(200, res.status)
    assert.equal("hello, file", res.body)
  end)

  it("takes paths from anywhere, as the app's author gives them", function()
    assert.equal(files_site.SECRET, get("../secret.txt").body)
    assert.equal(files_site.SECRET, get(app.dir .. "/public/out.txt").body)
    assert.equal("<p>home</p>", get("public/index.html").body)
  end)

  it("is 500 for what is no file, and says so in the log", function()
    for path, problem in pairs {
      ["public"] = "it is a directory", ["public/fifo"] = "no regular file",
      ["public/zero"] = "no regular file",
    } do
      local res = get(path)
      assert.equal(500, res.status)
      assert.equal('{"detail":"Internal Server Error"}', res.body)
      wait.for_log(app, "path=[^\n]*" .. path .. " error=[^\n]*" .. problem)
    end
  end)

  it("is 404 for a path with a NUL", function()
    assert.equal(404, get("public/hello.txt\0").status)
  end)

  for options, disposition in pairs {
    attachment = 'attachment; filename="hello.txt"',
    named = 'attachment; filename="report 1.txt"',
    inline = 'inline; filename="a.txt"',
    download_named = 'attachment; filename="n__ _x_.txt"; '
      .. "filename*=UTF-8''n%C3%A9%20%22x%22.txt",
  } do
    it("is named: " .. options, function()
      assert.equal(disposition, get("public/hello.txt", options).headers["content-disposition"])
    end)
  end

  it("has the type and headers of its options", function()
    assert.equal("text/x-special; charset=utf-8",
      get("public/hello.txt", "typed").headers["content-type"])
    assert.equal("public, max-age=60", get("public/hello.txt", "kept").headers["cache-control"])
    local headers = get("public/hello.txt", "headers").headers
    assert.equal("a=1, b=2", headers["set-cookie"])
    assert.equal("Cookie", headers.vary)
  end)

  it("takes the app's own validators", function()
    local res = get("public/hello.txt", "tagged")
    assert.equal('"mine"', res.headers.etag)
    assert.equal("Sun, 06 Nov 1994 08:49:37 GMT", res.headers["last-modified"])
    assert.equal(304, get("public/hello.txt", "tagged", { 'If-None-Match: "mine"' }).status)
    assert.equal(304, get("public/hello.txt", "tagged",
      { "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT" }).status)
    assert.equal(200, get("public/hello.txt", "tagged", { 'If-None-Match: "x"' }).status)
  end)

  it("may have another status, and then no conditions", function()
    local res = get("public/hello.txt", "page", { "If-None-Match: *", "Range: bytes=0-1" })
    assert.equal(404, res.status)
    assert.equal("hello, file", res.body)
    assert.is_nil(res.headers.etag)
    res = get("public/large.bin", "empty")
    assert.equal(204, res.status)
    assert.equal("", res.body)
  end)

  it("stays in its root", function()
    assert.equal("hello, file", get("hello.txt", "rooted").body)
    assert.equal("hello, file", get("sub/../hello.txt", "rooted").body)
    assert.equal("hello, file", get("link.txt", "rooted").body)
    for _, path in ipairs { "../secret.txt", "../../secret.txt", "sub/../../app.lua", "out.txt",
      "up/app.lua", app.dir .. "/public/hello.txt", "/etc/passwd", "absolute.txt", "environ", "",
      "hello.txt\0", "../../secret.txt\0.txt", "dangling.txt", "sub", "fifo" } do
      local res = get(path, "rooted")
      assert.equal(404, res.status, path)
      assert.is_nil(res.body:find(files_site.SECRET, 1, true))
    end
  end)

  it("is a response object for middleware", function()
    assert.equal("yes", request("GET", "/wrapped/file", "public/hello.txt").headers["x-wrapped"])
    local seen = raw.request(app.port, "GET /seen HTTP/1.1\r\nHost: a\r\n\r\n").body
    assert.is_truthy(seen:find('"wrapped":', 1, true))
    assert.is_truthy(seen:find('"has_body":false', 1, true))
  end)

  it("tells whether it was delivered", function()
    local function seen()
      return raw.request(app.port, "GET /seen HTTP/1.1\r\nHost: a\r\n\r\n").body
    end
    assert.equal(200, request("GET", "/noted", "public/large.bin").status)
    wait.wait_until(function() return seen():find('"delivered":true', 1, true) end)
  end)
end)

describe("options of perilune.file that are wrong", function()
  for name, case in pairs {
    ["no path"] = { { nil }, "argument 1 is a path" },
    ["an empty path"] = { { "" }, "needs a path" },
    ["an unknown option"] = { { "a", { filname = "b" } }, '"filename"' },
    ["two names"] = { { "a", { download = "b", filename = "c" } }, "both name the file" },
    ["a name that is empty"] = { { "a", { filename = "" } }, "not empty" },
    ["a name that is not UTF-8"] = { { "a", { filename = "\xff" } }, "UTF-8" },
    ["a download that is a number"] = { { "a", { download = 1 } }, '"download"' },
    ["a fraction of a second"] = { { "a", { max_age = 0.5 } }, "whole number" },
    ["a status that is none"] = { { "a", { status = 99 } }, "status" },
    ["a type with a line end"] = { { "a", { content_type = "a\r\nb" } }, "may not be sent" },
    ["two types"] = { { "a", { content_type = "a/b", headers = { ["content-type"] = "c/d" } } },
      "set twice" },
    ["two Cache-Controls"] = {
      { "a", { max_age = 1, headers = { ["cache-control"] = "no-store" } } }, "set twice",
    },
  } do
    it("are errors: " .. name, function()
      local ok, message = pcall(perilune.file, table.unpack(case[1], 1, 2))
      assert.is_false(ok)
      assert.is_truthy(message:find(case[2], 1, true), message)
      assert.is_truthy(message:find("file_response_spec.lua", 1, true), message)
    end)
  end
end)
