-- app.lua - a link shortener: accounts, links, clicks, and a page for whoever runs it.
--
-- store.lua and links.lua have the database, account.lua passwords and sessions, limit.lua the
-- limits of a client, pages.lua the HTML. The page at / is public/index.html.

local account = require "account"
local limit = require "limit"
local links = require "links"
local pages = require "pages"
local perilune = require "perilune"
local store = require "store"

local app = perilune.app { name = "urls" }
local settings = app.settings

store.open(settings.database)
links.open(settings.database)
app:on_start(store.migrate)
app:every(3600, store.remove_old_sessions)

app:headers { ["X-Content-Type-Options"] = "nosniff", ["Referrer-Policy"] = "no-referrer" }

local function object(req)
  local body = req:json()
  return type(body) == "table" and body or perilune.abort(422, "a JSON object is needed")
end

-- Passwords are slow on purpose, so they are what is limited most.
local few = limit.of("passwords", settings.passwords_a_minute)

app:group("", { middleware = { few } }, function(open)
  open:post("/accounts", function(req)
    local name = account.create(object(req))
    return account.begin_session(perilune.response { status = 201, json = { name = name } }, name)
  end)

  open:post("/sessions", function(req)
    local name = account.check(object(req))
    return account.begin_session(perilune.response { json = { name = name } }, name)
  end)
end)

app:delete("/sessions", function(req)
  return account.end_session(req, perilune.response { status = 204 })
end)

app:group("/links", { middleware = { account.required } }, function(group)
  group:get("", function(req) return { links = links.of(account.name(req)) } end)

  group:post("", { middleware = { limit.of("links", settings.links_a_minute) } }, function(req)
    local wanted = object(req)
    if type(wanted.url) ~= "string" or #wanted.url > 2000
      or not wanted.url:find "^https?://[^%s%c/]+[^%s%c]*$" then
      perilune.abort(422, { url = "an address that begins with http:// or https://" })
    end
    local code = links.add(account.name(req), wanted.url)
    return 201, { code = code, url = wanted.url }, { Location = app:url("follow", { code = code }) }
  end)

  group:delete("/{code}", function(req)
    if not links.remove(account.name(req), req.params.code) then
      perilune.abort(404, "you have no such link")
    end
  end)
end)

app:get("/admin", { middleware = { account.required } }, function(req)
  if account.name(req) ~= settings.admin then perilune.abort(403, "this page is not yours") end
  return perilune.html(pages.admin(links.totals(), links.most_clicked(20)))
end)

-- What all of it is for. The click is counted when the browser is on its way already.
app:get("/{code}", { name = "follow" }, function(req)
  local url = links.url_of(req.params.code) or perilune.abort(404, "there is no such link")
  req.tasks.after_response:schedule(links.count_click, req.params.code)
  return perilune.redirect(url):header("Cache-Control", "no-store")
end)

return app
