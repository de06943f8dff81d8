-- app.lua - one route for each thing that a handler may return, and for each that it may not.
--
-- Every handler is there twice: plain at /good/NAME or /wrong/NAME, and in the thread pool at
-- /blocking/good/NAME or /blocking/wrong/NAME. results_spec.lua knows what comes of each.

local perilune = require "perilune"
local json = require "perilune.json"

local app = perilune.app { name = "results" }

local function abort_below(...)
  local ok = pcall(function() return "not this" end)
  assert(ok)
  perilune.abort(...)
end

local good = {
  text = function() return "text" end,
  empty_text = function() return "" end,
  bytes = function() return "a\0b\255" end,
  table = function() return { message = "hello", list = { 1, 2, 3 } } end,
  empty_table = function() return {} end,
  array = function() return json.array {} end,
  null = function() return { gone = perilune.null } end,
  status = function() return 202 end,
  no_content = function() return 204 end,
  status_float = function() return 404.0 end,
  status_text = function() return 201, "made" end,
  status_table = function() return 201, { id = 7 } end,
  status_headers = function() return 200, "text", { ["X-One"] = "1", ["X-Two"] = 2 } end,
  status_nil_headers = function() return 202, nil, { ["X-One"] = "1" } end,
  status_type = function() return 200, "<p>", { ["content-type"] = "text/html" } end,
  status_lists = function() return 200, "text", { ["X-List"] = { "a", "b", 3 } } end,
  nothing = function() end,
  response = function() return perilune.response { body = "text" } end,
  response_empty = function() return perilune.response {} end,
  response_json = function()
    return perilune.response { status = 201, json = { a = 1 }, headers = { Location = "/a" } }
  end,
  response_false = function() return perilune.response { json = false } end,
  response_changed = function()
    local response = perilune.response { body = "text", headers = { ["x-a"] = "1" } }
    response.status = 203
    return response:header("X-A", "2"):add_header("x-a", "3"):add_header("X-B", "4")
  end,
  html = function() return perilune.html "<p>hi</p>" end,
  redirect = function() return perilune.redirect "/there" end,
  redirect_status = function() return perilune.redirect("/there", 308) end,
  abort = function() abort_below(404) end,
  abort_text = function() abort_below(403, "not yours") end,
  abort_table = function() abort_below(422, { field = "name", problems = { "short" } }) end,
  abort_headers = function() abort_below(401, "who?", { ["WWW-Authenticate"] = "Basic" }) end,
  abort_below_400 = function() abort_below(303, "there", { Location = "/there" }) end,
}

local wrong = {
  ["nil"] = function() return nil end,
  ["true"] = function() return true end,
  ["false"] = function() return false end,
  null = function() return perilune.null end,
  no_status = function() return 42 end,
  informational = function() return 101 end,
  high_status = function() return 600 end,
  fraction = function() return 200.5 end,
  body_first = function() return "text", 201 end,
  table_first = function() return { a = 1 }, 201 end,
  nil_first = function() return nil, "text" end,
  boolean_body = function() return 200, true end,
  number_body = function() return 200, 7 end,
  object_body = function() return 201, perilune.html "<p>" end,
  file_body = function() return 201, perilune.file "app.lua" end,
  text_headers = function() return 200, "text", "X-One: 1" end,
  list_headers = function() return 200, "text", { "X-One: 1" } end,
  boolean_header = function() return 200, "text", { ["X-One"] = true } end,
  four = function() return 200, "text", {}, "more" end,
  length = function() return 200, "text", { ["Content-Length"] = 3 } end,
  coding = function() return 200, "text", { ["transfer-encoding"] = "chunked" } end,
  mixed = function() return { 1, 2, a = 3 } end,
  invalid_text = function() return { deep = { "\255" } } end,
  cycle = function()
    local ring = {}
    ring.ring = ring
    return ring
  end,
  response_status = function() return perilune.response { status = 99 } end,
  response_option = function() return perilune.response { stauts = 200 } end,
  response_both = function() return perilune.response { body = "a", json = {} } end,
  response_body = function() return perilune.response { body = 7 } end,
  response_dot = function()
    local response = perilune.response {}
    return response.header("X-A", "1")
  end,
  html_table = function() return perilune.html {} end,
  redirect_status = function() return perilune.redirect("/there", 200) end,
  abort_status = function() perilune.abort(1000) end,
  abort_detail = function() perilune.abort(400, true) end,
  status_cr = function() return 200, "text", { ["X-One"] = "1\rX-Two: 2" } end,
  status_lf = function() return 200, "text", { ["X-One"] = "1\nX-Two: 2" } end,
  status_nul = function() return 200, "text", { ["X-One"] = "1\0" } end,
  status_name = function() return 200, "text", { ["X-One: 1\r\nX-Two"] = "2" } end,
  status_list = function() return 200, "text", { ["X-One"] = { "1", "2\r\n" } } end,
  response_lf = function() return perilune.response { headers = { ["X-One"] = "1\nX-Two: 2" } } end,
  response_set = function()
    local response = perilune.response {}
    response.headers["X-One"] = "1\r\nX-Two: 2"
    return response
  end,
  response_header = function() return perilune.response({}):header("X-One", "1\r\n") end,
  response_add = function() return perilune.response({}):add_header("X-One\n", "1") end,
  redirect_lf = function() return perilune.redirect "/there\r\nX-Two: 2" end,
  abort_lf = function() perilune.abort(400, "no", { ["X-One"] = "1\nX-Two: 2" }) end,
  abort_json = function() perilune.abort(400, { "\255" }) end,
  error_text = function() error "secret words" end,
  error_untold = function()
    error(setmetatable({}, { __tostring = function() error "tongue-tied" end }))
  end,
  error_eight = function() error { 1, 2, 3, 4, 5, 6, 7, 8 } end,
  error_table = function() error { secret = "words" } end,
  error_nil = function() error(nil) end,
}

for group, handlers in pairs { good = good, wrong = wrong } do
  for name, handler in pairs(handlers) do
    app:get(("/%s/%s"):format(group, name), handler)
    app:get(("/blocking/%s/%s"):format(group, name), perilune.blocking(handler))
  end
end

app:get("/wrong/unsent", perilune.blocking(function()
  return { deep = { coroutine.wrap(print) } }
end))

local Callable = setmetatable({}, { __call = function(_, req) return req.path end })

app:get("/good/callable", Callable)

app:post("/good/redirect", function() return perilune.redirect "/there" end)

return app
