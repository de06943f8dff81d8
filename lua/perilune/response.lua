-- response.lua - response objects, and ending a handler from below it.
--
-- A response is { status=, headers=, body= | json= } of a class that C knows (src/lib/reply.c), so
-- it can be returned from blocking handlers too.

local check = require "perilune.check"
local cookie = require "perilune.cookie"
local native = require "perilune.native.app"

local response = {}

local Response = { __name = "response" }

--- Methods; `delivered`: nil until the response has left, then whether the client got it; and the
--- `status` of a response that names none, for which an error handler has one of its own.
function Response.__index(self, key)
  if key == "delivered" then return native.delivered(self) end
  if key == "status" then return 200 end
  return Response[key]
end

native.class("perilune.response", Response)

local known = { "status", "headers", "body", "json" }

local function check_status(status)
  if math.type(status) == "integer" and status >= 200 and status <= 599 then return end
  check.fail("a status is a whole number from 200 to 599, not %s", check.show(status))
end

--- Checks a table of headers as an app author gives it.
---@param headers table|nil
function response.check_headers(headers)
  if headers == nil then return end
  if type(headers) ~= "table" then check.fail("headers are a table, not a %s", type(headers)) end
  for name, value in pairs(headers) do
    if type(name) ~= "string" then check.fail("header names are strings, not %s", type(name)) end
    for _, each in ipairs(type(value) == "table" and value or { value }) do
      check.call(native.check_header, name, tostring(each))
    end
  end
end

--- A response object.
---@param fields table { status=200, headers=, body= | json= }
---@usage return perilune.response { status = 201, json = user, headers = { location = url } }
function response.new(fields)
  check.type("perilune.response", 1, fields, "table", "a table")
  check.options(fields, known)
  if fields.status ~= nil then check_status(fields.status) end
  response.check_headers(fields.headers)
  if type(fields.body) == "table" then
    check.fail 'option "body" is a string; a table goes into json (perilune.response { json = t })'
  end
  check.field(fields, "body", "string")
  if fields.body ~= nil and fields.json ~= nil then
    check.fail("a response has body or json, not both")
  end
  local result = { status = fields.status, headers = {}, body = fields.body, json = fields.json }
  for name, value in pairs(fields.headers or {}) do result.headers[name] = value end
  return setmetatable(result, Response)
end

--- A response of type text/html.
---@param text string
function response.html(text)
  check.type("perilune.html", 1, text, "string", "a string")
  return response.new { body = text, headers = { ["Content-Type"] = "text/html; charset=utf-8" } }
end

--- A redirect.
---@param url string
---@param status integer|nil 302; 303 after a POST, which C sees (src/lib/reply.c)
function response.redirect(url, status)
  check.type("perilune.redirect", 1, url, "string", "a URL")
  if status ~= nil then
    check_status(status)
    if status < 300 or status > 399 then check.fail("a redirect has a status from 300 to 399") end
  end
  local result = response.new { status = status or 302, headers = { Location = url } }
  result.has_default_redirect = status == nil or nil
  return result
end

--- Ends the handler from anywhere below it with {"detail": detail}.
---@param status integer
---@param detail string|table|nil the reason phrase when left out
---@param headers table|nil
function response.abort(status, detail, headers)
  check_status(status)
  response.check_headers(headers)
  if detail ~= nil and type(detail) ~= "string" and type(detail) ~= "table" then
    check.fail("detail is a string or a table, not a %s", type(detail))
  end
  local text = type(detail) == "string" and detail or "aborted"
  local err = native.error("abort", ("%d: %s"):format(status, text))
  err.status, err.detail, err.headers = status, detail, headers
  error(err, 0)
end

--- Adds a header, in place of one of that name.
function Response:header(name, value)
  check.self(self, Response, "header")
  check.call(native.check_header, name, tostring(value))
  for key in pairs(self.headers) do
    if key:lower() == name:lower() then self.headers[key] = nil end
  end
  self.headers[name] = value
  return self
end

--- Adds a header beside one of that name.
function Response:add_header(name, value)
  check.self(self, Response, "add_header")
  check.call(native.check_header, name, tostring(value))
  for key, old in pairs(self.headers) do
    if key:lower() == name:lower() then
      local list = type(old) == "table" and table.move(old, 1, #old, 1, {}) or { old }
      list[#list + 1] = value
      self.headers[key] = list
      return self
    end
  end
  self.headers[name] = value
  return self
end

--- Sets a cookie: Path=/, HttpOnly and SameSite=Lax unless the options say otherwise.
---@param name string
---@param value string|number|nil nil deletes the cookie
---@param options table|nil { path=, domain=, max_age=, expires=, secure=, http_only=, same_site=,
--- secret= }; with a secret it is signed: req:signed_cookie
---@usage return perilune.redirect("/"):cookie("uid", user.id, { secret = app.settings.secret })
function Response:cookie(name, value, options)
  check.self(self, Response, "cookie")
  local line, key = cookie.format(name, value, options), "Set-Cookie"
  for other in pairs(self.headers) do
    if other:lower() == "set-cookie" then key = other end
  end
  self.headers[key] = cookie.merge(self.headers[key], line)
  return self
end

return response
