-- store.lua - the database: its tables, accounts and sessions; links.lua has the links.
--
-- Each function can be called from handlers, tasks and blocking functions.

local crypto = require "perilune.crypto"
local sqlite = require "perilune.sqlite"

local store = {}

local SESSION_SECONDS = 30 * 24 * 3600

local migrations = { [[
  CREATE TABLE accounts (name TEXT PRIMARY KEY, password TEXT NOT NULL,
    created INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
  CREATE TABLE sessions (token TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts,
    ends INTEGER NOT NULL) STRICT;
  CREATE TABLE links (code TEXT PRIMARY KEY, account TEXT NOT NULL REFERENCES accounts,
    url TEXT NOT NULL, clicks INTEGER NOT NULL DEFAULT 0,
    created INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
  CREATE INDEX links_by_account ON links (account, created);
]] }

local db

function store.open(path) db = sqlite.open(path) end
function store.migrate() db:migrate(migrations) end

--- False where the name is taken.
function store.add_account(name, password)
  local sql = "INSERT INTO accounts (name, password) VALUES (?, ?) ON CONFLICT DO NOTHING"
  return db:exec(sql, name, password) > 0
end

function store.password_of(name)
  return db:value("SELECT password FROM accounts WHERE name = ?", name)
end

--- A token is kept as its hash: who reads the database cannot use it.
local function hash_of(token) return crypto.hash("sha256", token) end

function store.add_session(name)
  local token = crypto.base64(crypto.random(24), { url = true })
  local sql = "INSERT INTO sessions VALUES (?, ?, unixepoch() + ?)"
  db:exec(sql, hash_of(token), name, SESSION_SECONDS)
  return token, SESSION_SECONDS
end

function store.account_of(token)
  local sql = "SELECT account FROM sessions WHERE token = ? AND ends > unixepoch()"
  return db:value(sql, hash_of(token))
end

function store.remove_session(token)
  db:exec("DELETE FROM sessions WHERE token = ?", hash_of(token))
end

function store.remove_old_sessions() db:exec "DELETE FROM sessions WHERE ends <= unixepoch()" end

return store
