-- bodies.lua - what a request can send: texts, forms, files, and what a function makes.
--
-- Cases for cases.lua.

local assert = require "luassert"
local async = require "perilune.async"
local expect = require "expect"
local fs = require "perilune.fs"
local http = require "perilune.http"
local process = require "perilune.process"

local cases = {}

local PIECE = ("y"):rep(10000)

cases["bodies have their content types"] = function(base)
  local url = base .. "/echo"
  local got = http.post(url, { json = { a = 1 } }):json()
  assert.equal('{"a":1}', got.body)
  assert.same({ "application/json" }, got.headers["content-type"])
  got = http.put(url, { form = { list = { 1, 2 }, a = "x y" } }):json()
  assert.equal("a=x%20y&list=1&list=2", got.body)
  assert.same({ "application/x-www-form-urlencoded" }, got.headers["content-type"])
  got = http.patch(url, { body = "text", headers = { ["content-length"] = 4 } }):json()
  assert.equal("text", got.body)
  assert.same({ "4" }, got.headers["content-length"])
  assert.is_nil(got.headers["content-type"])
  expect.misuse('one body: "json" or "form"', http.post, url, { json = 1, form = {} })
  expect.misuse('one body: "body" or "multipart"', http.post, url, { body = "", multipart = {} })
  expect.misuse("is not the length of the body", http.post, url,
    { body = "text", headers = { ["Content-Length"] = 5 } })
  expect.misuse("is a number of bytes", http.post, url,
    { body = "text", headers = { ["Content-Length"] = "4, 4" } })
  expect.misuse('"Transfer-Encoding" is up to', http.post, url,
    { body = "text", headers = { ["Transfer-Encoding"] = "gzip" } })
end

-- --- functions ----------------------------------------------------------------------------------

cases["a function makes a body, in chunks"] = function(base)
  local got = http.post(base .. "/count", { body = expect.each { "a", "", PIECE, "b" } }):json()
  assert.same({ bytes = 10002, length = nil, pieces = got.pieces }, got)
  assert.equal(0, http.put(base .. "/echo", { body = function() end }):json().body:len())
  got = http.put(base .. "/echo", { body = expect.each { "a", "b" } }):json()
  assert.same({ "PUT", "ab" }, { got.method, got.body })
  assert.same({ "chunked" }, got.headers["transfer-encoding"])
end

cases["a function may wait"] = function(base)
  local n = 0
  local got = http.post(base .. "/count", { body = function()
    async.sleep(0.001)
    n = n + 1
    return n <= 20 and PIECE or nil
  end }):json()
  assert.equal(200000, got.bytes)
end

cases["a function may be an iterator of another response"] = function(base)
  local res = http.get(base .. "/big/300000", { stream = true })
  assert.equal(300000, http.post(base .. "/count", { body = res:chunks() }):json().bytes)
end

cases["a length may be said"] = function(base)
  local function post(pieces, length)
    return http.post(base .. "/count", { body = expect.each(pieces),
      headers = { ["Content-Length"] = length } })
  end
  assert.same({ bytes = 5, length = "5", pieces = 1 }, post({ "12345" }, 5):json())
  assert.same({ bytes = 0, length = "0", pieces = 0 }, post({}, 0):json())
  expect.misuse("the body ended after 3 bytes, but its Content-Length is 5", post, { "123" }, 5)
  expect.misuse("the body has more bytes than its Content-Length, 5", post, { "123", "456" }, 5)
end

cases["the error of a function ends the request and is raised"] = function(base)
  local boom = setmetatable({}, { __tostring = function() return "boom" end })
  local n = 0
  local ok, err = pcall(http.post, base .. "/count", { body = function()
    n = n + 1
    if n == 3 then error(boom) end
    return PIECE
  end })
  assert.is_false(ok)
  assert.equal(boom, err)
  expect.misuse("gives strings, and nil at the end, not a number", http.post, base .. "/count",
    { body = function() return 5 end })
  assert.equal(200, http.get(base .. "/status/200").status)
end

cases["an early answer ends the wait of a function"] = function(base)
  local begun, closed = 0, 0
  local res = http.post(base .. "/refuse", { timeout = expect.LONG, body = function()
    local _ <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
    begun = begun + 1
    if begun > 1 then async.sleep(expect.LONG * 2) end
    return PIECE
  end })
  assert.equal(413, res.status)
  assert.is_true(begun <= 2 and begun == closed)
end

cases["the time of the request ends the wait of a function"] = function(base)
  expect.fails_with("timeout", "no complete response within", http.post, base .. "/count", {
    timeout = expect.SHORT, body = function() async.sleep(expect.LONG) end,
  })
end

cases["a cancel ends the wait of a function"] = function(base)
  local has_begun, closed
  local task = async.spawn(http.post, base .. "/count", { body = function()
    local _ <close> = setmetatable({}, { __close = function() closed = true end })
    has_begun = true
    async.sleep(expect.LONG)
  end })
  expect.until_true(function() return has_begun end)
  task:cancel "enough"
  expect.fails_with("cancelled", "enough", task.wait, task)
  assert.is_true(closed)
end

cases["a server may answer while a function still gives"] = function(base)
  local pieces = {}
  for i = 1, 30 do pieces[i] = PIECE end
  local res = http.post(base .. "/mirror", { body = expect.each(pieces) })
  assert.equal(table.concat(pieces), res.body)
  res = http.post(base .. "/mirror", { body = expect.each(pieces), stream = true })
  local bytes = 0
  for piece in res:chunks() do bytes = bytes + #piece end
  assert.equal(300000, bytes)
end

-- --- forms with files ---------------------------------------------------------------------------

local function with_file(text, fn)
  local path = os.tmpname()
  local file <close> = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  local ok, err = pcall(fn, path)
  os.remove(path)
  if not ok then error(err, 0) end
end

cases["a form with files arrives"] = function(base)
  with_file(("z"):rep(200000), function(path)
    local got = http.post(base .. "/form", { multipart = {
      title = "Grüße & mehr", count = 7, tags = { "a", "b" },
      note = { data = "plain", content_type = "text/x-note" },
      shot = { data = "\0\1\r\n--x", filename = 'a "b".png', content_type = "image/png" },
      long = { path = path, filename = "long.bin" },
      same = { path = path },
    } }):raise_for_status():json()
    assert.same({ "a", "b" }, got.tags)
    assert.same({ "Grüße & mehr", "7", "plain" },
      { got.fields.title, got.fields.count, got.fields.note })
    assert.same({ "long", "same", "shot" },
      { got.files[1].name, got.files[2].name, got.files[3].name })
    assert.same({ 200000, "long.bin", "application/octet-stream" },
      { got.files[1].size, got.files[1].filename, got.files[1].content_type })
    assert.equal(path:match "[^/]+$", got.files[2].filename)
    assert.equal("image/png", got.files[3].content_type)
    assert.equal("\0\1\r\n--x", got.files[3].text)
  end)
end

--- Text that is different everywhere, of many pieces of a file.
local function make_long_text()
  local lines = {}
  for i = 1, 60000 do lines[i] = ("line %d\n"):format(i) end
  return table.concat(lines)
end

cases["a long file arrives as it is, and again when it must be sent again"] = function(base)
  local text = make_long_text()
  local function find_text(got) return got.body:match "\r\n\r\n(line.*\n)\r\n%-%-" end
  with_file(text, function(path)
    local options = { multipart = { a = { path = path } }, follow_redirects = true, retries = 2,
      backoff = { initial = 0 } }
    assert.is_true(text == find_text(http.post(base .. "/echo", options):json()))
    local url = base .. "/redirect?status=307&to=/echo"
    assert.is_true(text == find_text(http.post(url, options):json()))
    url = ("%s/flaky/%s"):format(base, expect.new_key())
    assert.equal("3", http.put(url, options).body)
    url = ("%s/redirect?status=307&to=/flaky/%s?times=1"):format(base, expect.new_key())
    assert.equal("2", http.put(url, options).body)
  end)
end

cases["files of all kinds of names have a type"] = function(base)
  with_file("", function(path)
    local got = http.post(base .. "/form", { multipart = {
      a = { path = path, filename = "a.txt" }, b = { path = path, filename = "b.JPG" },
      c = { path = path, content_type = "text/x-c" }, d = { path = path },
    } }):json().files
    assert.same({ "text/plain", "image/jpeg", "text/x-c", "application/octet-stream" },
      { got[1].content_type, got[2].content_type, got[3].content_type, got[4].content_type })
    assert.equal(0, got[1].size)
  end)
end

--- A file of so many bytes, of which none is on the disk.
local function with_hole(bytes, fn)
  with_file("", function(path)
    local file <close> = fs.open(path, "r+")
    file:truncate(bytes)
    fn(path, file)
  end)
end

local HOLE = 1 << 26 -- more than sockets hold

cases["a file that becomes shorter ends the request"] = function(base)
  with_hole(HOLE, function(path, file)
    local key = expect.new_key()
    local url = ("%s/closed/%s"):format(base, key)
    local task = async.spawn(pcall, http.post, url, { multipart = { a = { path = path } } })
    expect.arrived(base, key)
    file:truncate(0)
    http.post(("%s/opened/%s"):format(base, key))
    local err = expect.fails_with("http",
      ("/closed/%s: cannot read %s: it has become shorter"):format(key, path),
      function() error(select(2, task:wait()), 0) end)
    assert.equal("CURLE_READ_ERROR", err.code_name)
  end)
end

cases["a file that is being sent is let go, in time and by a cancel"] = function(base)
  with_hole(HOLE, function(path)
    local options = { multipart = { a = { path = path } }, timeout = expect.SHORT }
    local url = ("%s/closed/%s"):format(base, expect.new_key())
    expect.fails_with("timeout", "no complete response within", http.post, url, options)
    local key = expect.new_key()
    options.timeout = nil
    local task = async.spawn(http.post, ("%s/closed/%s"):format(base, key), options)
    expect.arrived(base, key)
    task:cancel "enough"
    expect.fails_with("cancelled", "enough", task.wait, task)
  end)
end

cases["an early answer ends the sending of a file"] = function(base)
  with_hole(HOLE, function(path)
    local res = http.post(base .. "/refuse", { multipart = { a = { path = path } } })
    assert.equal(413, res.status)
  end)
end

cases["a pipe is no file"] = function(base)
  local path = os.tmpname()
  os.remove(path)
  process.run { "mkfifo", path, check = true }
  expect.fails_with("http", ("cannot read %s: it is no regular file"):format(path), http.post,
    base .. "/form", { multipart = { a = "text", b = { path = path } } })
  os.remove(path)
end

cases["a list of files is one name again and again"] = function(base)
  local got = http.put(base .. "/echo", { multipart = {
    file = { { data = "one", filename = "1" }, { data = "two", filename = "2" }, "three" },
  } }):json()
  assert.equal("PUT", got.method)
  local bodies = {}
  for body in got.body:gmatch "\r\n\r\n(.-)\r\n%-%-" do bodies[#bodies + 1] = body end
  assert.same({ "one", "two", "three" }, bodies)
end

cases["a form with files is checked"] = function(base)
  local function no(part, multipart)
    expect.misuse(part, http.post, base .. "/form", { multipart = multipart })
  end
  no("has no parts", {})
  no("is a table, not a string", "x")
  no('"a" has an unknown field "pathh" (did you mean "path"?)', { a = { data = "", pathh = "" } })
  no('"a" has a path and data', { a = { path = "/x", data = "" } })
  no('filename of "a" has a CR, LF or NUL', { a = { data = "", filename = "x\r\ny" } })
  no('content_type of "a" is a string', { a = { data = "", content_type = 1 } })
  no("is a table that is no list", { a = { filename = "x" } })
  no("is a string, number, boolean", { a = { data = {} } })
  for _, path in ipairs { "/none/of/these", "/" } do
    local err = expect.fails_with("http", "cannot read " .. path, http.post, base .. "/form",
      { multipart = { a = { path = path } } })
    assert.equal("CURLE_READ_ERROR", err.code_name)
  end
end

return cases
