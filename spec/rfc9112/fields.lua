-- fields.lua - rows of the RFC table: names, values and lines of header fields.
--
-- A row is { section, what it shows, bytes, status or list of them, options }: rfc9112_spec.lua
-- says which options there are. Sections are of RFC 9112 unless another one is named.

local request = require "support.request"

local get = request.get

local rows = {
  { "5.1", "a space before the colon", get "A : b\r\n", 400 },
  { "5.1", "a tab before the colon", get "A\t: b\r\n", 400 },
  { "5.1", "a line without a colon", get "A\r\n", 400 },
  { "5.1", "a line of words", get "A b\r\n", 400 },
  { "5.1", "an empty name", get ": b\r\n", 400 },
  { "5.1", "an empty name first", "GET / HTTP/1.1\r\n: b\r\n" .. request.HOST .. "\r\n", 400 },
  { "5.1", "an empty name behind an empty value", get "A:\r\n: b\r\n", 400 },
  { "5.1", "a name that is not ASCII", get "\xC3\xA4: b\r\n", 400 },
  { "5.1", "a name of every kind of token byte", get "X!#$%&'*+-.^_`|~09: b\r\n", 200 },
  { "5", "no blank behind the colon", get "A:b\r\n", 200 },
  { "5", "many blanks around a value", get "A: \t  b \t \r\n", 200 },
  { "5", "an empty value", get "A:\r\n", 200 },
  { "5", "a value of blanks", get "A: \t \r\n", 200 },
  { "9110 5.5", "a tab inside a value", get "A: b\tc\r\n", 200 },
  { "9110 5.5", "a value that is not ASCII", get "A: \xC3\xA4 \xFF\r\n", 200 },
  { "9110 5.5", "CR in a value", get "A: b\rc\r\n", 400 },
  { "9110 5.5", "CR at the end of a value", get "A: b\r\r\n", 400 },
  { "9110 5.5", "LF in a value", get "A: b\nC: d\r\n", 400 },
  { "9110 5.5", "LF at the end of a value", get "A: b\n\r\n", 400 },
  { "9110 5.5", "NUL in a value", get "A: b\0c\r\n", 400 },
  { "9110 5.5", "NUL at the end of a value", get "A: b\0\r\n", 400 },
  { "9110 5.5", "a vertical tab in a value", get "A: b\x0Bc\r\n", 400 },
  { "9110 5.5", "ESC in a value", get "A: \x1B[0m\r\n", 400 },
  { "9110 5.5", "DEL in a value", get "A: \x7F\r\n", 400 },
  { "5.2", "a folded line", get "A: b\r\n c\r\n", 400 },
  { "5.2", "one folded with a tab", get "A: b\r\n\tc\r\n", 400 },
  { "5.2", "one folded before its value", get "A:\r\n b\r\n", 400 },
  { "5.2", "one folded with blanks only", get "A: b\r\n \r\n", 400 },
  { "5.2", "one folded as the last one", get "A: b\r\n \r\n\r\n", 400 },
  { "5.2", "a folded Content-Length", request.post("Content-Length:\r\n 3\r\n", "abc"), 400 },
  { "5.2", "a folded Transfer-Encoding", request.post "Transfer-Encoding:\r\n chunked\r\n", 400 },
  { "5.2", "a folded Host", "GET / HTTP/1.1\r\nHost:\r\n h\r\n\r\n", 400 },
}

for _, byte in ipairs { "\0", "\1", "\x1F", "\x7F", '"', "(", ")", ",", "/", ";", "<", "=", ">",
  "?", "@", "[", "\\", "]", "{", "}", "\x80", "\xFF" } do
  rows[#rows + 1] = { "9110 5.1", ("%q in a name"):format(byte), get("A" .. byte .. "B: c\r\n"),
    400 }
end

return rows
