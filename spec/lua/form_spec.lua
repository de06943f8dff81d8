-- form_spec.lua - fields and files of forms, as browsers, curl and others send them.
--
-- spec/apps/forms runs as a process of its own. Each route tells what it got, on the event loop, on
-- a pool thread, from a body that was buffered and from one that is streamed.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local json = require "perilune.json"
local multipart = require "support.multipart"
local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"

local app

setup(function() app = site.start "forms" end)
teardown(function() assert.equal(0, app:stop()) end)

local function post(path, parts, boundary)
  return app:post(path, multipart.options(parts, boundary))
end

local function post_typed(path, body, content_type)
  return app:post(path, { body = body, headers = { ["Content-Type"] = content_type } })
end

local function urlencoded(path, body)
  return post_typed(path, body, "application/x-www-form-urlencoded")
end

local function assert_refused(status, detail, res)
  assert.equal(status, res.status, res.body)
  assert.equal(detail, json.decode(res.body).detail)
end

local MIB = 1024 * 1024
local routes = { "/tell", "/blocking/tell", "/stream/tell", "/stream/blocking/tell" }

for _, route in ipairs(routes) do
  describe("a form at " .. route, function()
    it("has the fields of an urlencoded body", function()
      local res = urlencoded(route, "a=1&b=%C3%BC+%26&a=2&empty=&flag&=nameless")
      assert.same({ a = "1", b = "ü &", empty = "", flag = "", [""] = "nameless" },
        res:json().form)
      assert.equal('"files":[]', res.body:match '"files":%[%]')
    end)

    it("has the fields and files of a multipart body", function()
      local res = post(route, {
        { "title", "A title\r\nin two lines" }, { "title", "another" },
        { "doc", "hello\n", filename = "hello.txt", type = "text/plain; charset=utf-8" },
        { "doc", "\0\r\n--", filename = "raw.bin" },
      })
      assert.equal(200, res.status, res.body)
      local told = res:json()
      assert.same({ title = "A title\r\nin two lines" }, told.form)
      assert.equal(2, #told.files)
      assert.same({ name = "doc", filename = "hello.txt", size = 6, content = "hello\n",
        content_type = "text/plain; charset=utf-8", is_uniform = false }, told.files[1])
      assert.equal(5, told.files[2].size)
      assert.equal("\0\r\n--", told.files[2].content)
      assert.equal("text/plain", told.files[2].content_type)
    end)

    it("has files of any size", function()
      for _, size in ipairs { 0, 1, MIB - 1, MIB, MIB + 1, 5 * MIB } do
        local res = post(route, { { "a", "1" }, { "f", ("x"):rep(size), filename = "x" },
          { "b", "2" } })
        assert.equal(200, res.status, res.body)
        local told = res:json()
        assert.same({ a = "1", b = "2" }, told.form)
        assert.equal(size, told.files[1].size)
        assert.is_true(told.files[1].is_uniform)
      end
    end)

    it("is empty without a body", function()
      assert.same({ form = {}, files = {} }, app:post(route, { body = "" }):json())
      local headers = { ["Content-Type"] = "multipart/form-data; boundary=b" }
      local res = app:post(route, { body = "", headers = headers })
      assert.same({ form = {}, files = {} }, res:json())
    end)

    it("is refused when the body is no form", function()
      assert_refused(415, "the request body is application/json; a form is "
        .. "application/x-www-form-urlencoded or multipart/form-data",
        post_typed(route, "{}", "application/json"))
      assert_refused(415, "the request body has no Content-Type; a form is "
        .. "application/x-www-form-urlencoded or multipart/form-data",
        raw.request(app.port, ("POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
          :format(route)))
    end)

    it("is refused when it is malformed", function()
      assert_refused(400, "Content-Type multipart/form-data has no boundary",
        post_typed(route, "--b--", "multipart/form-data"))
      assert_refused(400, "the body does not have the boundary that Content-Type names",
        post_typed(route, "--a--", "multipart/form-data; boundary=b"))
      local body, content_type = multipart.encode { { "f", ("x"):rep(2 * MIB), filename = "x" } }
      assert_refused(400, "the body ends before its last boundary",
        post_typed(route, body:sub(1, -10), content_type))
      assert_refused(400, "part 2 of the form: its Content-Disposition has no name",
        post(route, { { "a", "1" }, { head = "Content-Disposition: form-data\r\n", "", "2" } }))
    end)

    it("is refused past a limit", function()
      local parts = {}
      for i = 1, 1001 do parts[i] = { "a", "" } end
      assert_refused(413, "the form has more than 1000 parts", post(route, parts))
      assert_refused(413, "the form has more than 1000 fields", urlencoded(route, ("a&"):rep(1001)))
      assert_refused(413, "part 1 of the form: its name is longer than 1024 bytes",
        post(route, { { ("n"):rep(1025), "" } }))
      assert_refused(413, "part 1 of the form: its header is larger than 8192 bytes",
        post(route, { { head = "X: " .. ("x"):rep(8192) .. "\r\n", "", "" } }))
    end)
  end)
end

describe("names of a form", function()
  it("come as browsers write them", function()
    local told = post("/tell", {
      { "a%22b%0D%0A", "1" }, { "f", "x", filename = "ü %22€%22.txt" },
      { "back\\slash", "2" },
    }):json()
    assert.same({ ['a"b\r\n'] = "1", ["back\\slash"] = "2" }, told.form)
    assert.equal('ü "€".txt', told.files[1].filename)
  end)

  it("come as others write them", function()
    local told = post("/tell", {
      { 'a\\"b', "1" }, { "f", "x", filename = 'q\\"q.txt' },
      { "f", "x", head = "Content-Disposition: form-data; name=f; "
        .. "filename=x; filename*=UTF-8''%e2%82%ac.txt\r\n" },
    }):json()
    assert.same({ ['a"b'] = "1" }, told.form)
    assert.equal('q"q.txt', told.files[1].filename)
    assert.equal("€.txt", told.files[2].filename)
  end)

  it("of files are base names", function()
    local told = post("/tell", {
      { "f", "x", filename = "/etc/passwd" }, { "f", "x", filename = "C:\\dir\\me.txt" },
      { "f", "x", filename = "../.." },
    }):json()
    assert.equal("passwd", told.files[1].filename)
    assert.equal("me.txt", told.files[2].filename)
    assert.equal("", told.files[3].filename)
  end)

  it("with a NUL are refused", function()
    assert_refused(400, "part 1 of the form: a control character in its header",
      post("/tell", { { "f", "x", filename = "a\0.txt" } }))
  end)
end)

describe("a file input", function()
  it("in which nothing was chosen is no file", function()
    local parts = { { "f", "", filename = "", type = "application/octet-stream" } }
    assert.same({}, post("/tell", parts):json().files)
    assert.is_false(post("/file/f", parts):json().found)
  end)

  it("with an empty file is one", function()
    local told = post("/tell", { { "f", "", filename = "empty.txt" } }):json()
    assert.equal(0, told.files[1].size)
    assert.equal("", told.files[1].content)
  end)
end)

describe("req:form_all", function()
  it("gives every value, in order", function()
    assert.same({ "1", "2" }, urlencoded("/all/a", "a=1&b=x&a=2"):json())
    assert.same({ "1", "2" }, post("/all/a", { { "a", "1" }, { "b", "x" }, { "a", "2" } }):json())
  end)

  it("gives an empty list of what is not there, and of files", function()
    assert.equal("[]", urlencoded("/all/c", "a=1").body)
    assert.equal("[]", post("/all/f", { { "f", "x", filename = "x" } }).body)
  end)
end)

describe("req:file", function()
  local parts = { { "f", "text" }, { "f", "1", filename = "one" }, { "f", "2", filename = "two" } }

  it("gives the first file of a name", function()
    local told = post("/file/f", parts):json()
    assert.equal("one", told.filename)
    assert.equal("file: one (1 bytes)", told.text)
  end)

  it("gives nil when there is none", function()
    assert.is_false(post("/file/g", parts):json().found)
    assert.is_false(urlencoded("/file/f", "f=1"):json().found)
  end)
end)

describe("a form", function()
  it("is read once", function()
    assert.same({ form = true, files = true }, post("/same", { { "a", "1" } }):json())
  end)

  it("can be asked for by many at the same time", function()
    local size = 3 * MIB
    local told = post("/together", { { "f", ("x"):rep(size), filename = "x" } }):json()
    local expected = "1 " .. size
    assert.same({ expected, expected, expected }, told)
  end)

  it("keeps what is large together out of memory", function()
    local parts = {}
    for i = 1, 9 do parts[i] = { "f", ("x"):rep(MIB), filename = "x" } end
    local told = post("/large/tell", parts):json()
    assert.equal(9, #told.files)
    for i = 1, 9 do assert.is_true(told.files[i].is_uniform and told.files[i].size == MIB) end
  end)

  it("may have 16 MiB of text and no more", function()
    local limit = 16 * MIB
    assert.equal(200, post("/large/tell", { { "a", ("x"):rep(limit) } }).status)
    assert_refused(413, "the text fields of the form are larger than 16777216 bytes together",
      post("/large/tell", { { "a", ("x"):rep(limit) }, { "b", "x" } }))
    assert_refused(413, "the form is larger than 16777216 bytes",
      urlencoded("/large/tell", "a=" .. ("x"):rep(limit)))
  end)
end)

describe("misuse of a form", function()
  local function misuse(what)
    local told = post("/misuse/" .. what, { { "f", "x", filename = "x" } }):json()
    assert.is_false(told.ok)
    return told.error
  end

  it("is told", function()
    assert.match("use a colon %(req:form%)", misuse "dot")
    assert.match("string expected", misuse "no_name")
    assert.match("use a colon %(file:save%)", misuse "save_dot")
    assert.match("a path has no NUL", misuse "save_nul")
  end)
end)

describe("curl", function()
  local has_curl = os.execute "command -v curl >/dev/null 2>&1"

  it("sends forms that are understood", function()
    if not has_curl then
      pending "curl is not installed"
      return
    end
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write(("y"):rep(2 * MIB))
    file:close()
    local url = ("http://127.0.0.1:%d/tell"):format(app.port)
    local words = { "curl", "-sS", "--max-time", "20", "-F", "a=1", "-F", "ü=größe", "-F",
      ('f=@%s;filename=wei"rd.bin;type=image/png'):format(path), url }
    local pipe = assert(io.popen(program.quote(words)))
    local told = json.decode(pipe:read "a")
    pipe:close()
    os.remove(path)
    assert.same({ a = "1", ["ü"] = "größe" }, told.form)
    assert.equal('wei"rd.bin', told.files[1].filename)
    assert.equal("image/png", told.files[1].content_type)
    assert.equal(2 * MIB, told.files[1].size)
    assert.is_true(told.files[1].is_uniform)
  end)
end)
