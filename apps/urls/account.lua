-- account.lua - names, passwords and sessions.
--
-- A password is kept as its scrypt hash, which is computed on other threads. A session is a random
-- token in a cookie that no script sees.

local crypto = require "perilune.crypto"
local perilune = require "perilune"
local store = require "store"

local account = {}

local COOKIE = "session"

--- Makes the account that a body asks for: its name.
function account.create(body)
  local name, password = body.name, body.password
  if type(name) ~= "string" or not name:find "^%w[%w_-]*$" or #name > 40 then
    perilune.abort(422, { name = "1 to 40 letters, digits, - and _" })
  end
  if type(password) ~= "string" or #password < 8 or #password > 200 then
    perilune.abort(422, { password = "8 to 200 bytes" })
  end
  if not store.add_account(name, crypto.password_hash(password)) then
    perilune.abort(409, "the name is taken")
  end
  return name
end

--- The name, if the password is right. A name that is not there takes as long as a wrong password.
function account.check(body)
  local name, password = body.name, body.password
  if type(name) ~= "string" or type(password) ~= "string" then
    perilune.abort(422, "name and password are needed")
  end
  local hash = store.password_of(name)
  local is_right = hash and crypto.password_verify(password, hash)
  if not hash then crypto.password_hash(password) end
  if not is_right then perilune.abort(401, "name or password is wrong") end
  return name
end

function account.begin_session(res, name)
  local token, seconds = store.add_session(name)
  return res:cookie(COOKIE, token, { max_age = seconds, same_site = "strict" })
end

function account.end_session(req, res)
  local token = req.cookies[COOKIE]
  if token then store.remove_session(token) end
  return res:cookie(COOKIE, "", { max_age = 0 })
end

--- Whose request it is, nil for nobody's. Looked for once in each request.
function account.name(req)
  return req:once("account", function()
    local token = req.cookies[COOKIE]
    return token and store.account_of(token)
  end)
end

--- Middleware: nobody else comes by.
function account.required(req, proceed)
  if not account.name(req) then perilune.abort(401, "log in first") end
  return proceed()
end

return account
