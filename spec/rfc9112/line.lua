-- line.lua - rows of the RFC table: empty lines, line ends, the request line, methods, versions.
--
-- A row is { section, what it shows, bytes, status or list of them, options }: rfc9112_spec.lua
-- says which options there are. Sections are of RFC 9112 unless another one is named.

local request = require "support.request"

local HOST = request.HOST
local END = " HTTP/1.1\r\n" .. HOST .. "\r\n"
local TOP = "GET / HTTP/1.1\r\n"

return {
  -- 2.2: message parsing
  { "2.2", "one empty line before a request is ignored", "\r\n" .. request.get(), 200 },
  { "2.2", "so are four", ("\r\n"):rep(4) .. request.get(), 200 },
  { "2.2", "five are too many", ("\r\n"):rep(5) .. request.get(), 400, cut = true },
  { "2.2", "endless empty lines are refused", ("\r\n"):rep(5000), 400, cut = true },
  { "2.2", "bare line feeds are no empty lines", "\n\n" .. request.get(), 400, cut = true },
  { "2.2", "bare carriage returns are none", "\r\r" .. request.get(), 400, cut = true },
  { "2.2", "half an empty line is none", "\r" .. request.get(), 400, cut = true },
  { "2.2", "a request line ends with CRLF, not LF", "GET / HTTP/1.1\n" .. HOST .. "\r\n", 400 },
  { "2.2", "nor with CR", "GET / HTTP/1.1\r" .. HOST .. "\r\n", 400 },
  { "2.2", "a field ends with CRLF, not LF", TOP .. "Host: h\n\r\n", 400 },
  { "2.2", "a head ends with CRLF, not LF", TOP .. HOST .. "\n", 400 },
  { "2.2", "no line may end with LF", "GET / HTTP/1.1\nHost: h\n\n", 400 },
  { "2.2", "nor with CR CR LF", TOP .. "Host: h\r\r\n\r\n", 400 },
  { "2.2", "a space before the first field is refused", TOP .. " " .. HOST .. "\r\n", 400 },
  { "2.2", "a tab before the first field is refused", TOP .. "\t" .. HOST .. "\r\n", 400 },
  { "2.2", "a NUL is nothing", "\0" .. request.get(), 400 },
  { "2.2", "a byte order mark is nothing", "\xEF\xBB\xBF" .. request.get(), 400 },
  { "2.2", "TLS is not spoken here", "\x16\x03\x01\x02\0\x01\0\x01\xFC\x03\x03", 400 },

  -- 3: the request line
  { "3", "two spaces before the target", "GET  / HTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "two spaces behind the target", "GET /  HTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "a space behind the version", "GET / HTTP/1.1 \r\n" .. HOST .. "\r\n", 400 },
  { "3", "a space before the method", " GET /" .. END, 400 },
  { "3", "a tab before the method", "\tGET /" .. END, 400 },
  { "3", "a tab in place of the first space", "GET\t/" .. END, 400 },
  { "3", "a tab in place of the second space", "GET /\tHTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "a vertical tab", "GET /\x0BHTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "a form feed", "GET\x0C/" .. END, 400 },
  { "3", "no target", "GET HTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "no target, two spaces", "GET  HTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "nothing but a method", "GET\r\n" .. HOST .. "\r\n", 400 },
  { "3", "a fourth word", "GET / x HTTP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "3", "a fifth word", "GET / HTTP/1.1 x\r\n" .. HOST .. "\r\n", 400 },
  { "3", "a status line", "HTTP/1.1 200 OK\r\n" .. HOST .. "\r\n", 400 },

  -- 3.1: methods
  { "3.1", "a method is told by its case", "get /" .. END, 501 },
  { "3.1", "so is a mixed one", "Get /" .. END, 501 },
  { "3.1", "a method nobody knows", "BREW /" .. END, 501 },
  { "3.1", "a method that starts with a known one", "GETT /" .. END, 501 },
  { "3.1", "a method that a known one starts with", "GE /" .. END, 501 },
  { "3.1", "a method cut off", "GE\r\n", 400 },
  { "3.1", "one that turns out to be none", "FOO(BAR) /" .. END, 400 },
  { "3.1", "a method of every kind of token byte", "X!#$%&'*+-.^_`|~09 /" .. END, 501 },
  { "3.1", "a long method", ("X"):rep(300) .. " /" .. END, 501 },
  { "3.1", "a known one that is not routed", "PROPFIND /" .. END, 501 },
  { "3.1", "another one", "M-SEARCH /" .. END, 501 },
  { "3.1", "one of another protocol", "SOURCE /" .. END, 501 },
  { "3.1", "a method that is no token", "GET@ /" .. END, 400 },
  { "3.1", "one with a parenthesis", "GET(x) /" .. END, 400 },
  { "3.1", "one in quotes", '"GET" /' .. END, 400 },
  { "3.1", "one with a control byte", "GE\1T /" .. END, 400 },
  { "3.1", "one that is not ASCII", "G\xC3\x89T /" .. END, 400 },
  { "3.1", "a target glued to the method", "GET/" .. END, 400 },
  { "9110 9.3.6", "CONNECT asks for a proxy", "CONNECT h:80" .. END, 501 },
  { "9110 9.3.8", "TRACE is known and allowed nowhere", "TRACE /" .. END, 405 },
  { "9110 9.3.2", "HEAD is answered without a body", "HEAD /" .. END, 200 },
  { "9110 9.3.2", "so is HEAD of what is not there", "HEAD /nothing" .. END, 404 },
  { "9110 9.3.2", "so is a HEAD that is refused", "HEAD / HTTP/1.1\r\n\r\n", 400 },
  { "9110 9.3.2", "so is one that breaks off", "HEAD / HTTP/1.1\r\nA : b\r\n\r\n", 400 },

  -- 2.3: versions
  { "2.3", "HTTP/1.0 needs no Host, and ends", "GET / HTTP/1.0\r\n\r\n", 200, close = true },
  { "9110 2.5", "HTTP/1.2 is taken for 1.1", "GET /version HTTP/1.2\r\n" .. HOST .. "\r\n", 200,
    body = "1.1" },
  { "9110 2.5", "so is HTTP/1.9", "GET /version HTTP/1.9\r\n" .. HOST .. "\r\n", 200,
    body = "1.1" },
  { "2.3", "HTTP/1.2 needs a Host", "GET / HTTP/1.2\r\n\r\n", 400 },
  { "2.3", "HTTP/1.2 needs single spaces", "GET /  HTTP/1.2\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/1.10 is no version", "GET / HTTP/1.10\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/01.1 is none", "GET / HTTP/01.1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/1 is none", "GET / HTTP/1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/1. is none", "GET / HTTP/1.\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/.1 is none", "GET / HTTP/.1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/1,1 is none", "GET / HTTP/1,1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/+1.1 is none", "GET / HTTP/+1.1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP 1.1 is none", "GET / HTTP 1.1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "http/1.1 is none", "GET / http/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "HTTP/x.y is none", "GET / HTTP/x.y\r\n" .. HOST .. "\r\n", 400 },
  { "2.3", "another protocol", "OPTIONS / RTSP/1.1\r\n" .. HOST .. "\r\n", 400 },
  { "9110 15.6.6", "HTTP/0.9 is not supported", "GET / HTTP/0.9\r\n" .. HOST .. "\r\n", 505 },
  { "9110 15.6.6", "HTTP/2.0 is not", "GET / HTTP/2.0\r\n" .. HOST .. "\r\n", 505 },
  { "9110 15.6.6", "HTTP/3.0 is not", "GET / HTTP/3.0\r\n" .. HOST .. "\r\n", 505 },
  { "9110 15.6.6", "HTTP/9.9 is not", "GET / HTTP/9.9\r\n" .. HOST .. "\r\n", 505 },
  { "9110 15.6.6", "nor is HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
  { "3", "a request line of HTTP/0.9", "GET /\r\n", 400 },
  { "3", "one with fields", "GET /\r\n" .. HOST .. "\r\n", 400 },
}
