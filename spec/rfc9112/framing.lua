-- framing.lua - rows of the RFC table: where a body ends. Lengths, codings, chunks, trailers.
--
-- A row is { section, what it shows, bytes, status or list of them, options }: rfc9112_spec.lua
-- says which options there are. Sections are of RFC 9112 unless another one is named.

local request = require "support.request"

local post, chunked = request.post, request.chunked

--- A body of three bytes with this line of Content-Length.
local function length(value)
  return post("Content-Length:" .. value .. "\r\n", "abc")
end

local function coding(value)
  return post("Transfer-Encoding:" .. value .. "\r\n", "3\r\nabc\r\n0\r\n\r\n")
end

--- One chunk of five bytes; `from` and `to` change what stands around it.
local function chunk(from, to)
  local bytes = "5\r\nabcde\r\n0\r\n\r\n"
  local at, last = bytes:find(from, 1, true)
  return chunked(bytes:sub(1, at - 1) .. to .. bytes:sub(last + 1))
end

local function trailer(lines, last)
  return chunked("5\r\nabcde\r\n0\r\n" .. lines .. (last or "\r\n"))
end

return {
  -- 6.2: Content-Length
  { "6.2", "a length", length " 3", 200, body = "abc" },
  { "6.2", "no blank before it", length "3", 200, body = "abc" },
  { "6.2", "zeros before it", length " 0003", 200, body = "abc" },
  { "6.2", "blanks around it", length "   3   ", 200, body = "abc" },
  { "5.1", "a tab before it", length "\t3", 200, body = "abc" },
  { "5.1", "a tab behind it", length " 3\t", 200, body = "abc" },
  { "5.1", "tabs and spaces around it", length " \t 3 \t \t", 200, body = "abc" },
  { "6.2", "no body and no length", request.post(), 200, body = "" },
  { "6.2", "a length of nothing", post "Content-Length: 0\r\n", 200, body = "" },
  { "6.3", "an empty one", length "", 400 },
  { "6.3", "a blank one", length "  ", 400 },
  { "6.3", "two different ones", post("Content-Length: 3\r\nContent-Length: 4\r\n", "abcd"), 400 },
  { "6.3", "the same one twice", post("Content-Length: 3\r\nContent-Length: 3\r\n", "abc"), 400 },
  { "6.3", "one twice in different case", post("Content-Length: 3\r\ncontent-length: 3\r\n", "abc"),
    400 },
  { "6.3", "a list", length " 3, 3", 400 },
  { "6.3", "a list of two lengths", length " 3, 4", 400 },
  { "6.3", "a comma behind it", length " 3,", 400 },
  { "6.3", "two words", length " 3 3", 400 },
  { "6.3", "a plus", length " +3", 400 },
  { "6.3", "a minus", length " -3", 400 },
  { "6.3", "minus nothing", length " -0", 400 },
  { "6.3", "hexadecimal", length " 0x3", 400 },
  { "6.3", "a letter", length " 3a", 400 },
  { "6.3", "a point", length " 3.0", 400 },
  { "6.3", "an exponent", length " 3e0", 400 },
  { "6.3", "an underscore", length " 1_0", 400 },
  { "6.3", "quotes", length ' "3"', 400 },
  { "6.3", "a vertical tab", length " 3\x0B", 400 },
  { "6.3", "other digits", length " \xD9\xA3", 400 },
  { "6.3", "more than 64 bits", length " 18446744073709551619", 400 },
  { "6.3", "much more", length(" " .. ("9"):rep(200)), 400 },
  { "9110 15.5.14", "all of 63 bits is too large", length " 9223372036854775807", 413 },

  -- 6.1: Transfer-Encoding
  { "6.1", "chunked", coding " chunked", 200, body = "abc" },
  { "6.1", "in any case", coding " cHuNkEd", 200, body = "abc" },
  { "5.1", "tabs around it", coding "\tchunked\t", 200, body = "abc" },
  { "6.3", "with a length", post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
    "0\r\n\r\n"), 400 },
  { "6.3", "before a length", post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
    "0\r\n\r\n"), 400 },
  { "6.3", "with a length of nothing", post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "0\r\n\r\n"), 400 },
  { "6.3", "with a tab, and a length", post("Transfer-Encoding: chunked\t\r\nContent-Length: 5\r\n",
    "0\r\n\r\n"), 400 },
  { "6.1", "twice", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "0\r\n\r\n"), 400 },
  { "6.1", "twice in one line", coding " chunked, chunked", 400 },
  { "6.1", "not last", coding " chunked, gzip", 400 },
  { "6.1", "not last, in two lines", post("Transfer-Encoding: chunked\r\n"
    .. "Transfer-Encoding: identity\r\n", "0\r\n\r\n"), 400 },
  { "6.1", "behind a coding nobody knows", coding " x, chunked", 501 },
  { "6.1", "behind gzip", coding " gzip, chunked", 501 },
  { "6.3", "gzip alone", coding " gzip", 400 },
  { "6.3", "identity", coding " identity", 400 },
  { "6.3", "an empty one", coding "", 400 },
  { "6.3", "a word before it", coding " xchunked", 400 },
  { "6.3", "a word behind it", coding " chunkedx", 400 },
  { "6.3", "another word behind it", coding " chunked x", 400 },
  { "6.3", "a comma behind it", coding " chunked,", 400 },
  { "7", "a parameter", coding " chunked;q=1", 400 },
  { "6.3", "in quotes", coding ' "chunked"', 400 },
  { "6.3", "a vertical tab before it", coding " \x0Bchunked", 400 },
  { "6.1", "in HTTP/1.0", "POST /echo HTTP/1.0\r\n" .. request.CHUNKED .. "\r\n0\r\n\r\n", 400 },
  { "6.1", "in HTTP/1.0 that is kept", "POST /echo HTTP/1.0\r\nConnection: keep-alive\r\n"
    .. request.CHUNKED .. "\r\n0\r\n\r\n", 400 },

  -- 7.1: chunks
  { "7.1", "chunks", chunked "3\r\nabc\r\nB\r\n0123456789-\r\n0\r\n\r\n", 200,
    body = "abc0123456789-" },
  { "7.1", "no chunk", chunked "0\r\n\r\n", 200, body = "" },
  { "7.1", "zeros before a size", chunk("5\r", "00000005\r"), 200, body = "abcde" },
  { "7.1", "a last chunk of many zeros", chunk("0\r", "000\r"), 200, body = "abcde" },
  { "7.1", "endless zeros", chunk("5\r", ("0"):rep(40) .. "5\r"), 400 },
  { "7.1", "more than 64 bits", chunk("5\r", "10000000000000005\r"), 400 },
  { "9110 15.5.14", "a size that is too large", chunk("5\r", "FFFFFFFFFFFFFFF0\r"), 413 },
  { "7.1", "a minus", chunk("5\r", "-5\r"), 400 },
  { "7.1", "a plus", chunk("5\r", "+5\r"), 400 },
  { "7.1", "0x", chunk("5\r", "0x5\r"), 400 },
  { "7.1", "a letter", chunk("5\r", "5g\r"), 400 },
  { "7.1", "no size", chunk("5\r", "\r"), 400 },
  { "7.1", "a space before the size", chunk("5\r", " 5\r"), 400 },
  { "7.1", "a space behind the size", chunk("5\r", "5 \r"), 400 },
  { "7.1", "a tab behind the size", chunk("5\r", "5\t\r"), 400 },
  { "7.1", "a size that ends with LF", chunk("5\r\n", "5\n"), 400 },
  { "7.1", "a size that ends with CR", chunk("5\r\n", "5\r"), 400 },
  { "7.1", "a size that ends with CR CR LF", chunk("5\r\n", "5\r\r\n"), 400 },
  { "7.1", "data that end with LF", chunk("abcde\r\n", "abcde\n"), 400 },
  { "7.1", "data that end with CR", chunk("abcde\r\n", "abcde\r"), 400 },
  { "7.1", "data that end with nothing", chunk("abcde\r\n", "abcde"), 400 },
  { "7.1", "data that are too long", chunk("abcde", "abcdef"), 400 },
  { "7.1", "data that are too short", chunk("abcde", "abcd"), 400 },
  { "7.1", "a last chunk that ends with LF", chunk("0\r\n", "0\n"), 400 },
  { "7.1", "a body that ends with LF", chunk("0\r\n\r\n", "0\r\n\n"), 400 },
  { "7.1", "a body that ends with CR", chunk("0\r\n\r\n", "0\r\n\rX"), 400 },

  -- 7.1.1: extensions
  { "7.1.1", "an extension", chunk("5\r", "5;a=b\r"), 200, body = "abcde" },
  { "7.1.1", "one without a value", chunk("5\r", "5;a\r"), 200, body = "abcde" },
  { "7.1.1", "one in quotes", chunk("5\r", '5;a="b;c"\r'), 200, body = "abcde" },
  { "7.1.1", "one of the last chunk", chunk("0\r", "0;a=b\r"), 200, body = "abcde" },
  { "7.1.1", "one that ends with LF", chunk("5\r\n", "5;a=b\n"), 400 },
  { "7.1.1", "CR inside one", chunk("5\r", "5;a\rb\r"), 400 },
  { "7.1.1", "LF in quotes", chunk("5\r", '5;a="b\nc"\r'), 400 },
  { "7.1.1", "CRLF in quotes", chunk("5\r", '5;a="b\r\nc"\r'), 400 },
  { "7.1.1", "quotes that do not end", chunk("5\r", '5;a="b\r'), 400 },
  { "7.1.1", "a control byte", chunk("5\r", "5;a=\1\r"), 400 },
  { "7.1.1", "NUL", chunk("5\r", "5;a=\0\r"), 400 },
  { "7.1.1", "one without a name", chunk("5\r", "5;\r"), 400 },
  { "7.1.1", "one that is too long", chunk("5\r", "5;a=" .. ("b"):rep(20000) .. "\r"), 431 },
  { "7.1.1", "many that are too long together", chunked(("1;aaaaaaaaaaaaaaa\r\nx\r\n"):rep(1100)),
    431 },

  -- 7.1.2: trailers
  { "7.1.2", "a trailer", trailer "A: b\r\nC:\r\n", 200, body = "abcde" },
  { "9110 6.5.1", "a length in it is ignored", trailer "Content-Length: 100\r\n", 200,
    body = "abcde" },
  { "9110 6.5.1", "a Host in it is ignored", trailer "Host: other\r\n", 200, body = "abcde" },
  { "9110 6.5.1", "Connection in it is ignored", trailer "Connection: close\r\n", 200,
    body = "abcde" },
  { "9110 6.5.1", "a coding in it is refused", trailer "Transfer-Encoding: chunked\r\n", 400 },
  { "7.1.2", "a folded one", trailer "A: b\r\n c\r\n", 400 },
  { "7.1.2", "one that begins with a blank", trailer " A: b\r\n", 400 },
  { "7.1.2", "one without a name", trailer ": b\r\n", 400 },
  { "7.1.2", "one without a colon", trailer "A\r\n", 400 },
  { "7.1.2", "a space before its colon", trailer "A : b\r\n", 400 },
  { "7.1.2", "one that ends with LF", trailer "A: b\n", 400 },
  { "7.1.2", "NUL in one", trailer "A: \0\r\n", 400 },
  { "7.1.2", "an end with LF", trailer("A: b\r\n", "\n"), 400 },
  { "7.1.2", "one that is too long", trailer("A: " .. ("b"):rep(20000) .. "\r\n"), 431 },
  { "7.1.2", "one of blanks that is too long", trailer("A:" .. (" "):rep(20000) .. "\r\n"), 431 },
  { "7.1.2", "many that are too long together", trailer(("A: b\r\n"):rep(5000)), 431 },
}
