-- target.lua - rows of the RFC table: the forms of a target, its bytes, and the Host field.
--
-- A row is { section, what it shows, bytes, status or list of them, options }: rfc9112_spec.lua
-- says which options there are. Sections are of RFC 9112 unless another one is named.

local request = require "support.request"

local function get(target)
  return request.get(nil, target)
end

--- GET /where, which answers with host and target.
local function host(value, target)
  return ("GET %s HTTP/1.1\r\nHost:%s\r\n\r\n"):format(target or "/where", value)
end

local rows = {
  -- 3.2: forms
  { "3.2.1", "origin form", get "/where?a=b", 200, body = "h /where?a=b" },
  { "3.2.1", "an empty query", get "/where?", 200, body = "h /where?" },
  { "3.2.1", "no slash at its beginning", get "where", 400 },
  { "3.2.1", "a query alone", get "?a", 400 },
  { "3.2.2", "absolute form beats the Host field", get "http://other:81/where", 200,
    body = "other:81 http://other:81/where" },
  { "3.2.2", "its scheme in any case", get "HTTP://other/where", 200,
    body = "other HTTP://other/where" },
  { "3.2.2", "https, from a proxy that ends TLS", get "https://other/where", 200,
    body = "other https://other/where" },
  { "3.2.2", "an address in brackets", get "http://[::1]:8080/where", 200,
    body = "[::1]:8080 http://[::1]:8080/where" },
  { "3.2.2", "without a path", get "http://h", 200, body = "hello" },
  { "3.2.2", "without a path, with a query", get "http://h?a=b", 200, body = "hello" },
  { "3.2.2", "without a Host field all the same", "GET http://h/ HTTP/1.1\r\n\r\n", 400 },
  { "9110 4.2.1", "with an empty host", get "http:///x", 400 },
  { "9110 4.2.1", "with nothing but a port", get "http://:80/", 400 },
  { "9110 4.2.1", "with nothing but a query", get "http://?a", 400 },
  { "9110 4.2.4", "with a user", get "http://u@h/", 400 },
  { "9110 4.2.4", "with a password", get "http://u:p@h/", 400 },
  { "3.2.2", "with a port that is none", get "http://h:8x/", 400 },
  { "3.2.2", "with two hosts", get "http://a,b/", 400 },
  { "3.2.2", "with one slash", get "http:/h/", 400 },
  { "3.2.2", "with a backslash", get "http:\\\\h\\", 400 },
  { "3.2.2", "of another scheme", get "ftp://h/", 400 },
  { "3.2.2", "of a scheme without an authority", get "mailto:a@b", 400 },
  { "3.2.3", "authority form is for CONNECT", get "h:80", 400 },
  { "3.2.4", "asterisk form is for OPTIONS", get "*", 400 },
  { "3.2.4", "OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", 204 },
  { "3.2.4", "with a query", "OPTIONS *?a HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
  { "3.2.4", "with a path", "OPTIONS */ HTTP/1.1\r\nHost: h\r\n\r\n", 400 },
  { "3.2.4", "HEAD *", "HEAD * HTTP/1.1\r\nHost: h\r\n\r\n", 400 },

  -- 3.2: bytes (RFC 3986)
  { "3.2", "a fragment", get "/#a", 400 },
  { "3.2", "an empty fragment", get "/#", 400 },
  { "3.2", "a fragment behind a query", get "/?a#b", 400 },
  { "3.2", "a space", get "/a b", 400 },
  { "3.2", "a space in the query", get "/?a b", 400 },
  { "3.2", "a tab", get "/a\tb", 400 },
  { "3.2", "a NUL", get "/a\0b", 400 },
  { "3.2", "a control byte", get "/a\1b", 400 },
  { "3.2", "a control byte in the query", get "/?a\x1F", 400 },
  { "3.2", "DEL", get "/a\x7F", 400 },
  { "3.2", "a byte above ASCII", get "/\x80", 400 },
  { "3.2", "UTF-8", get "/\xC3\xA4", 400 },
  { "3.2", "UTF-8 in the query", get "/?\xC3\xA4", 400 },
  { "3986 2.1", "an escape cut short", get "/%4", 400 },
  { "3986 2.1", "an escape that is none", get "/%zz", 400 },
  { "3986 2.1", "an escaped NUL in the path", get "/%00", 400 },
  { "3986 2.1", "what browsers leave as it is", get "/where?{|}^`\"<>\\", 200,
    body = "h /where?{|}^`\"<>\\" },
  { "3986 2.1", "a bad escape in the query is data", get "/where?%zz", 200,
    body = "h /where?%zz" },

  -- 3.2: the Host field
  { "3.2", "no Host", "GET / HTTP/1.1\r\n\r\n", 400 },
  { "3.2", "no Host, other fields", "GET / HTTP/1.1\r\nA: b\r\n\r\n", 400 },
  { "3.2", "two Hosts", request.get(request.HOST), 400 },
  { "3.2", "two different Hosts", request.get "Host: other\r\n", 400 },
  { "3.2", "two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: h\r\nhost: h\r\n\r\n", 400 },
  { "3.2", "a bad Host in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a b\r\n\r\n", 400 },
}

local GOOD_HOSTS = { "a", "example.com:8080", "a.", "A_b-c~d", "127.0.0.1:80", "[::1]", "a:",
  "[2001:db8::1]:443", "[::ffff:1.2.3.4]", "a%20b", "xn--bcher-kva.ch" }

local BAD_HOSTS = { "", " ", "a, b", "a,b", "a b", "a\tb", "u@a", "u:p@a", "a:8x", "a:-1",
  "a:65536", "a:80:80", ":80", "a/b", "a/", "a?b", "a#b", "a\\b", "http://a", "<a>", '"a"',
  "a%zz", "\x80", "::1", "[::1", "[]", "[zz]", "[::1]x", "[1.2.3.4]", "[fe80::1%25eth0]",
  "a;b c", "a\1b" }

for _, value in ipairs(GOOD_HOSTS) do
  rows[#rows + 1] = { "3.2", "a good Host: " .. value, host(value), 200, body = value .. " /where" }
end
for _, value in ipairs(BAD_HOSTS) do
  rows[#rows + 1] = { "3.2", ("a bad Host: %q"):format(value), host(value), 400 }
end
rows[#rows + 1] = { "3.2", "blanks around a Host", host " \t a:80 \t", 200, body = "a:80 /where" }

return rows
