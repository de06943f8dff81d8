-- store.lua - accounts, sessions and links in their database.
--
-- All of SQL is here. Writes that come at the same time share a transaction by themselves, so
-- counting a click is one statement and no batch of our own.

local crypto = require "perilune.crypto"
local sqlite = require "perilune.sqlite"

local store = {}

local CODE_BYTES = 5
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

--- The code of a new link.
function store.add_link(name, url)
  while true do
    local code = crypto.base64(crypto.random(CODE_BYTES), { url = true }):gsub("=", "")
    local sql = "INSERT INTO links (code, account, url) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    if db:exec(sql, code, name, url) > 0 then return code end
  end
end

--- False where the account has no such link.
function store.remove_link(name, code)
  return db:exec("DELETE FROM links WHERE code = ? AND account = ?", code, name) > 0
end

function store.url_of(code) return db:value("SELECT url FROM links WHERE code = ?", code) end

function store.count_click(code)
  db:exec("UPDATE links SET clicks = clicks + 1 WHERE code = ?", code)
end

function store.links_of(name)
  return db:query([[SELECT code, url, clicks, created FROM links WHERE account = ?
    ORDER BY created DESC, rowid DESC]], name)
end

function store.most_clicked(count)
  return db:query([[SELECT code, account, url, clicks FROM links
    ORDER BY clicks DESC, code LIMIT ?]], count)
end

function store.totals()
  return db:row [[SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM links)
    AS links, (SELECT coalesce(sum(clicks), 0) FROM links) AS clicks]]
end

return store
