-- exceptions.lua - rows of the RFC table that Perilune takes and a peer refuses, with the reasons.
--
-- By what the row shows. peers.lua tells of one that stands here without need.

local OWS = "RFC 9112 5.1: tabs are optional white space like spaces"
local LATER = "RFC 9110 2.5: a later minor version is taken for the highest one known"
local BEHIND_CLOSE = "RFC 9112 9.6: what follows a request with close is not looked at"
local HALF_CLOSE = "RFC 9112 9.5: the client has ended its side and waits for the answer"

return {
  ["line: HTTP/1.2 is taken for 1.1"] = LATER,
  ["line: so is HTTP/1.9"] = LATER,
  ["target: OPTIONS *"] = "RFC 9110 9.3.7: asks the server in general",
  ["target: blanks around a Host"] = OWS,
  ["framing: a tab before it"] = OWS,
  ["framing: a tab behind it"] = OWS,
  ["framing: tabs and spaces around it"] = OWS,
  ["framing: tabs around it"] = OWS,
  ["framing: a length in it is ignored"] = "RFC 9110 6.5.1: no trailer is ever taken for a header",
  ["connection: data behind it are ignored"] = BEHIND_CLOSE,
  ["connection: requests behind it are ignored"] = BEHIND_CLOSE,
  ["connection: close of a request with a body"] = BEHIND_CLOSE,
  ["connection: twice is once"] = "RFC 9110 5.3: a list may stand in several fields",
  ["connection: a half-closed client is answered"] = HALF_CLOSE,
  ["connection: so are its pipelined requests"] = HALF_CLOSE,
}
