-- results_spec.lua - what comes of everything that a handler may return, and of what it may not.
--
-- Good results are asked of spec/apps/results in the spec's own process, wrong ones of a server
-- whose log must say what to return instead. Each handler is asked as a plain one and as a blocking
-- one: nothing may differ. Streams and files are not looked at here.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local raw = require "support.raw"
local site = require "support.site"

local colours = { plain = "", blocking = "/blocking" }

local TEXT, JSON = "text/plain; charset=utf-8", "application/json"

-- status, Content-Type, body (a table: JSON), further headers
local good = {
  text = { 200, TEXT, "text" },
  empty_text = { 200, TEXT, "" },
  bytes = { 200, TEXT, "a\0b\255" },
  table = { 200, JSON, { message = "hello", list = { 1, 2, 3 } } },
  empty_table = { 200, JSON, "{}" },
  array = { 200, JSON, "[]" },
  null = { 200, JSON, '{"gone":null}' },
  status = { 202, nil, "" },
  no_content = { 204, nil, "" },
  status_float = { 404, nil, "" },
  status_text = { 201, TEXT, "made" },
  status_table = { 201, JSON, '{"id":7}' },
  status_headers = { 200, TEXT, "text", { ["x-one"] = "1", ["x-two"] = "2" } },
  status_nil_headers = { 202, nil, "", { ["x-one"] = "1" } },
  status_type = { 200, "text/html", "<p>" },
  status_lists = { 200, TEXT, "text", { ["x-list"] = "a, b, 3" } },
  nothing = { 204, nil, "" },
  response = { 200, TEXT, "text" },
  response_empty = { 200, nil, "" },
  response_json = { 201, JSON, '{"a":1}', { location = "/a" } },
  response_false = { 200, JSON, "false" },
  response_changed = { 203, TEXT, "text", { ["x-a"] = "2, 3", ["x-b"] = "4" } },
  html = { 200, "text/html; charset=utf-8", "<p>hi</p>" },
  redirect = { 302, nil, "", { location = "/there" } },
  redirect_status = { 308, nil, "", { location = "/there" } },
  abort = { 404, JSON, '{"detail":"Not Found"}' },
  abort_text = { 403, JSON, '{"detail":"not yours"}' },
  abort_table = { 422, JSON, { detail = { field = "name", problems = { "short" } } } },
  abort_headers = { 401, JSON, '{"detail":"who?"}', { ["www-authenticate"] = "Basic" } },
  abort_below_400 = { 303, JSON, '{"detail":"there"}', { location = "/there" } },
}

-- what the log says of it
local wrong = {
  ["nil"] = "the handler returned nil: return a string.*return 204.*return 201, body.*abort%(404%)",
  ["true"] = "the handler returned true: return a string, a table, a status",
  ["false"] = "the handler returned false: return a string, a table, a status",
  null = "the handler returned null: return a string, a table, a status",
  no_status = "the number 42, which is no status from 200 to 599: return a string or a table",
  informational = "the number 101, which is no status",
  high_status = "the number 600, which is no status",
  fraction = "the number 200.5, which is no status",
  body_first = "a result after the body: the status comes first %(return 201, body, headers%)",
  table_first = "a result after the body: the status comes first",
  nil_first = "the handler returned nil: return",
  boolean_body = "a response body is a string or a table, not a boolean",
  number_body = "a response body is a string or a table, not a number",
  object_body = "returned a status and a response object: the object has the status",
  file_body = "returned a status and a response object: the object has the status",
  text_headers = "headers are a table of name to value, not a string",
  list_headers = "headers are a table of name to value; there is a key that is a number",
  boolean_header = 'header \\"X%-One\\" is a boolean, not a string, a number or a list',
  four = "more than status, body and headers",
  length = 'header \\"Content%-Length\\" is written by the server itself',
  coding = 'header \\"transfer%-encoding\\" is written by the server itself',
  mixed = "cannot encode value: a table with both strings and numbers",
  invalid_text = "cannot encode value.deep%[1%]: the string is not valid UTF%-8",
  cycle = "cannot encode value.ring: a table that contains itself",
  response_status = "a status is a whole number from 200 to 599, not 99",
  response_option = 'unknown option \\"stauts\\" %(did you mean \\"status\\"%?%)',
  response_both = "a response has body or json, not both",
  response_body = 'option \\"body\\" is a string, not a number',
  response_dot = "use a colon %(response:header%)",
  html_table = "perilune.html: argument 1 is a string",
  redirect_status = "a redirect has a status from 300 to 399",
  abort_status = "app.lua:%d+: a status is a whole number from 200 to 599, not 1000",
  abort_json = "cannot encode value.detail%[1%]: the string is not valid UTF%-8",
  error_untold = "tongue%-tied",
  error_eight = "1 = 1, 2 = 2, 3 = 3, 4 = 4, 5 = 5, 6 = 6, 7 = 7, 8 = 8 }",
  abort_detail = "app.lua:%d+: detail is a string or a table, not a boolean",
}

local injections = { "status_cr", "status_lf", "status_nul", "status_name", "status_list",
  "response_lf", "response_set", "response_header", "response_add", "redirect_lf", "abort_lf" }

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

describe("a good result", function()
  local client

  setup(function() client = site.open "results" end)
  teardown(function() client:close() end)

  local function check(path, status, content_type, body, headers)
    local res = client:get(path)
    assert.equal(status, res.status)
    assert.equal(content_type, res.headers["content-type"])
    assert.same(body, type(body) == "table" and res:json() or res.body)
    for name, value in pairs(headers or {}) do assert.equal(value, res.headers[name]) end
  end

  for colour, prefix in pairs(colours) do
    for _, name in ipairs(sorted_keys(good)) do
      it(("is %s, of a %s handler"):format(name, colour), function()
        check(prefix .. "/good/" .. name, table.unpack(good[name], 1, 4))
      end)
    end
  end

  it("keeps headers of a list apart", function()
    local res = client:get "/good/status_lists"
    assert.same({ "a", "b", "3" }, res:header_all "x-list")
  end)

  it("can come from a callable table", function()
    assert.equal("/good/callable", client:get("/good/callable").body)
  end)

  it("is a redirect with 303 after a POST", function()
    local res = client:post("/good/redirect", { body = "" })
    assert.equal(303, res.status)
    assert.equal("/there", res.headers.location)
  end)
end)

describe("a wrong result", function()
  local server

  setup(function() server = site.start "results" end)
  teardown(function() assert.equal(0, server:stop(), server:log()) end)

  --- What the log says last of that target: the line, the traceback below it.
  local function logged(target)
    local log, last = server:log(), nil
    for at in log:gmatch("()target=" .. target:gsub("%p", "%%%0") .. " ") do last = at end
    if not last then error(("no line for %s in the log"):format(target), 2) end
    local line, rest = log:sub(last):match "^([^\n]*)\n(.*)"
    return line, rest:match "^(.-)\n%d%d%d%d%-" or rest
  end

  local function ask(path)
    local response = raw.request(server.port, ("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n")
      :format(path))
    assert.equal(500, response.status)
    assert.equal('{"detail":"Internal Server Error"}', response.body)
    return response
  end

  for colour, prefix in pairs(colours) do
    for _, name in ipairs(sorted_keys(wrong)) do
      it(("is %s, of a %s handler"):format(name, colour), function()
        local path = prefix .. "/wrong/" .. name
        ask(path)
        assert.is_truthy(logged(path):find(wrong[name]), logged(path))
      end)
    end

    for _, name in ipairs(injections) do
      it(("is a header of %s, of a %s handler"):format(name, colour), function()
        local path = prefix .. "/wrong/" .. name
        local response = ask(path)
        assert.is_nil(response.headers["x-one"])
        assert.is_nil(response.headers["x-two"])
        assert.is_truthy(logged(path):find "has a character that may not be sent in a header")
      end)
    end

    it(("is an error that only the log tells, of a %s handler"):format(colour), function()
      local path = prefix .. "/wrong/error_text"
      local response = ask(path)
      local line, traceback = logged(path)
      assert.is_truthy(line:find "request=%x+ error=\"[^\"]*app.lua:%d+: secret words\"")
      assert.is_truthy(traceback:find "stack traceback:.*apps/results/app.lua:%d+")
      assert.is_nil((response.raw .. response.body):find "secret")
      assert.is_nil((response.raw .. response.body):find "app.lua")
    end)

    it(("is an error that is no text, of a %s handler"):format(colour), function()
      ask(prefix .. "/wrong/error_table")
      assert.is_truthy(logged(prefix .. "/wrong/error_table"):find "error=\"{ %w+ = ")
      ask(prefix .. "/wrong/error_nil")
      assert.is_truthy(logged(prefix .. "/wrong/error_nil"):find "error=nil")
    end)
  end

  it("is what cannot leave the pool, with the path to it", function()
    ask "/wrong/unsent"
    assert.is_truthy(logged("/wrong/unsent"):find(
      "result 1%.deep%[1%] %(function%) cannot be sent to another Lua state"))
  end)

  it("is told with the id of its request", function()
    ask "/wrong/true?once"
    ask "/wrong/true?twice"
    local once = logged("/wrong/true?once"):match "request=(%x+)"
    local twice = logged("/wrong/true?twice"):match "request=(%x+)"
    assert.equal(16, #once)
    assert.not_equal(once, twice)
  end)
end)
