-- links.lua - the links in their database, and how often they were followed.
--
-- Writes that come at the same time share a transaction by themselves, so counting a click is one
-- statement and no batch of our own.

local crypto = require "perilune.crypto"
local sqlite = require "perilune.sqlite"

local links = {}

local CODE_BYTES = 5

local db

function links.open(path) db = sqlite.open(path) end -- the same database as store.lua's

--- The code of a new link.
function links.add(name, url)
  while true do
    local code = crypto.base64(crypto.random(CODE_BYTES), { url = true }):gsub("=", "")
    local sql = "INSERT INTO links (code, account, url) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    if db:exec(sql, code, name, url) > 0 then return code end
  end
end

--- False where the account has no such link.
function links.remove(name, code)
  return db:exec("DELETE FROM links WHERE code = ? AND account = ?", code, name) > 0
end

function links.url_of(code) return db:value("SELECT url FROM links WHERE code = ?", code) end

function links.count_click(code)
  db:exec("UPDATE links SET clicks = clicks + 1 WHERE code = ?", code)
end

function links.of(name)
  return db:query([[SELECT code, url, clicks, created FROM links WHERE account = ?
    ORDER BY created DESC, rowid DESC]], name)
end

function links.most_clicked(count)
  return db:query([[SELECT code, account, url, clicks FROM links
    ORDER BY clicks DESC, code LIMIT ?]], count)
end

function links.totals()
  return db:row [[SELECT (SELECT count(*) FROM accounts) AS accounts, (SELECT count(*) FROM links)
    AS links, (SELECT coalesce(sum(clicks), 0) FROM links) AS clicks]]
end

return links
