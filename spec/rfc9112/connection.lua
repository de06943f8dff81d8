-- connection.lua - rows of the RFC table: persistence, pipelining, expectations, ends.
--
-- A row is { section, what it shows, bytes, status or list of them, options }: rfc9112_spec.lua
-- says which options there are. Sections are of RFC 9112 unless another one is named.

local request = require "support.request"

local get, sized = request.get, request.sized
local MARK = request.get(nil, "/mark")
local EXPECT = "Expect: 100-continue\r\n"

--- HTTP/1.0.
local function old(fields)
  return "GET / HTTP/1.0\r\n" .. (fields or "") .. "\r\n"
end

return {
  -- 9.3, 9.6: persistence
  { "9.3", "HTTP/1.1 is kept", get(), 200 },
  { "9.3", "keep-alive says nothing new", get "Connection: keep-alive\r\n", 200 },
  { "9.3", "another option is ignored", get "Connection: x\r\n", 200 },
  { "9.3", "a word that contains close is another", get "Connection: closed, xclose\r\n", 200 },
  { "9.6", "close", get "Connection: close\r\n", 200, close = true },
  { "9110 7.6.1", "in any case", get "Connection: CLOSE\r\n", 200, close = true },
  { "9.6", "with a tab behind it", get "Connection: close\t\r\n", 200, close = true },
  { "9.6", "with a tab before it", get "Connection:\tclose\r\n", 200, close = true },
  { "9.6", "in a list", get "Connection: close, x\r\n", 200, close = true },
  { "9.6", "at the end of a list", get "Connection: x ,\tclose\r\n", 200, close = true },
  { "9.6", "in a list with empty members", get "Connection: ,, close ,\r\n", 200, close = true },
  { "9.6", "beside keep-alive", get "Connection: keep-alive, close\r\n", 200, close = true },
  { "9.6", "in a second field", get "Connection: x\r\nConnection: close\r\n", 200, close = true },
  { "9.6", "data behind it are ignored", get "Connection: close\r\n" .. "\0rubbish\r\n\r\n", 200,
    close = true },
  { "9.6", "requests behind it are ignored", get "Connection: close\r\n" .. MARK, 200,
    close = true },
  { "9.6", "close of a request with a body", sized("abc", "Connection: close\r\n") .. MARK, 200,
    close = true, body = "abc" },
  { "9.3", "HTTP/1.0 is not kept", old(), 200, close = true },
  { "9.3", "unless it asks", old "Connection: keep-alive\r\n", 200 },
  { "9.3", "in any case", old "Connection: Keep-Alive\r\n", 200 },
  { "9.3", "with a tab behind it", old "Connection: keep-alive\t\r\n", 200 },
  { "9.3", "and does not take it back", old "Connection: keep-alive, close\r\n", 200,
    close = true },
  { "C.2.2", "Keep-Alive alone is nothing", old "Keep-Alive: 300\r\n", 200, close = true },
  { "9110 7.8", "an upgrade is ignored", get "Connection: upgrade\r\nUpgrade: h2c\r\n", 200 },
  { "9110 7.8", "one to WebSocket too", get("Connection: Upgrade\r\nUpgrade: websocket\r\n"
    .. "Sec-WebSocket-Version: 13\r\n"), 200 },
  { "9110 7.8", "a body goes with it", sized("abc", "Connection: upgrade\r\nUpgrade: x\r\n"), 200,
    body = "abc" },

  -- 9.3.2: pipelining
  { "9.3.2", "answers come in the order of the requests", get(nil, "/nap/30") .. get() .. get(),
    { 200, 200, 200 } },
  { "9.3.2", "a bad one waits for the good ones before it",
    get(nil, "/nap/30") .. get() .. "rubbish\r\n\r\n", { 200, 200, 400 } },
  { "9.3.2", "a bad body waits too", get(nil, "/nap/30") .. request.chunked "x\r\n\r\n",
    { 200, 400 } },
  { "9.3.2", "a target that is too long waits too",
    get(nil, "/nap/30") .. get(nil, "/" .. ("x"):rep(10000)), { 200, 414 }, bulky = true },
  { "9.3.2", "an unknown version waits too", get(nil, "/nap/30") .. "GET / HTTP/2.0\r\n\r\n",
    { 200, 505 } },
  { "9.3.2", "an answer without a handler is no end", get(nil, "/nothing") .. get(), { 404, 200 } },
  { "9.3.2", "empty lines between requests", get() .. "\r\n\r\n" .. get(), { 200, 200 } },
  { "9.3.2", "endless empty lines between requests", get() .. ("\r\n"):rep(5) .. get(),
    { 200, 400 }, cut = true },
  { "9.3.2", "the end of a body is the start of a request", sized "abc" .. get(), { 200, 200 } },
  { "6.3", "what is more than the length is a request", request.post("Content-Length: 3\r\n",
    "abcd") .. get(), { 200, 501 } },
  { "9.3.2", "a body without a length is a request", request.post(nil, get()), { 200, 200 } },

  -- 9110 10.1.1: Expect
  { "9110 10.1.1", "100 before the answer", sized("abc", EXPECT), { 100, 200 }, body = "abc",
    waits = true },
  { "9110 10.1.1", "in any case", sized("abc", "Expect: 100-Continue\r\n"), { 100, 200 },
    waits = true },
  { "9110 10.1.1", "twice is once", sized("abc", EXPECT .. EXPECT), { 100, 200 }, waits = true },
  { "9110 10.1.1", "for chunks too", request.chunked("3\r\nabc\r\n0\r\n\r\n", EXPECT),
    { 100, 200 }, waits = true },
  { "9110 10.1.1", "not when the body is there", sized("abc", EXPECT), 200, body = "abc",
    whole = true },
  { "9110 10.1.1", "not without a body", get(EXPECT), 200 },
  { "9110 10.1.1", "not for a length of nothing", sized("", EXPECT), 200 },
  { "9110 10.1.1", "not in HTTP/1.0", "POST /echo HTTP/1.0\r\nContent-Length: 3\r\n" .. EXPECT
    .. "\r\nabc", 200, close = true },
  { "9110 10.1.1", "413 instead, for a body that is too large",
    request.post("Content-Length: 99999999999\r\n" .. EXPECT), 413 },
  { "9110 10.1.1", "413 instead, for a body too large for its route",
    "POST /small HTTP/1.1\r\nHost: h\r\nContent-Length: 17\r\n" .. EXPECT .. "\r\n", 413 },
  { "9110 10.1.1", "404 instead, without a route",
    "POST /nothing HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" .. EXPECT .. "\r\n", 404,
    close = true },
  { "9110 10.1.1", "405 instead, for another method",
    "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n" .. EXPECT .. "\r\n", 405, close = true },
  { "9110 10.1.1", "another expectation", sized("abc", "Expect: miracles\r\n"), 417 },
  { "9110 10.1.1", "another one beside it", sized("abc", "Expect: 100-continue, x\r\n"), 417 },
  { "9110 10.1.1", "another one without a body", get "Expect: x\r\n", 417 },
  { "9110 10.1.1", "an empty one", sized("abc", "Expect:\r\n"), 417 },

  -- ends
  { "9.5", "a half-closed client is answered", get(nil, "/nap/30"), 200, half_close = true,
    close = true },
  { "9.5", "so are its pipelined requests", get(nil, "/nap/30") .. get(), { 200, 200 },
    half_close = true, close = true },
  { "8", "a head that is cut off", "GET / HTTP/1.1\r\nHost: h", 400, half_close = true },
  { "8", "a body that is cut off", request.post("Content-Length: 5\r\n", "abc"), 400,
    half_close = true },
  { "8", "chunks that are cut off", request.chunked "5\r\nabc", 400, half_close = true },
  { "8", "the last chunk cut off", request.chunked "5\r\nabcde\r\n0\r\n", 400, half_close = true },
}
