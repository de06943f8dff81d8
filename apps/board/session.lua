-- session.lua - who is logged in: a name in a signed cookie, nothing kept on the server.
--
-- session.required is middleware for what only users may do; session.user names them.

local perilune = require "perilune"
local validate = require "validate"

local COOKIE = "board_user"
local MAX_AGE_SECONDS = 7 * 24 * 3600

---@param secret string signs the cookies
return function(secret)
  local session = {}

  --- The name of the user, or 401. The cookie is looked at once for each request.
  function session.user(req)
    return req:once("user", function()
      return req:signed_cookie(COOKIE, secret) or perilune.abort(401, "log in first")
    end)
  end

  function session.required(req, proceed)
    session.user(req)
    return proceed()
  end

  function session.log_in(req)
    local name = validate.author(req:form().name)
    local res = perilune.response { json = { name = name } }
    res:cookie(COOKIE, name, { secret = secret, max_age = MAX_AGE_SECONDS })
    return res
  end

  function session.log_out()
    local res = perilune.redirect "/"
    res:cookie(COOKIE, nil)
    return res
  end

  return session
end
