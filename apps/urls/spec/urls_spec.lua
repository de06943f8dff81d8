-- urls_spec.lua - every route of apps/urls, over real HTTP.
--
-- One database for all cases, and one account for each; the limits are set where they are tried.

local async = require "perilune.async"
local json = require "perilune.json"
local test = require "perilune.test"

describe("urls", function()
  local path, client

  local function start(settings)
    settings.database = path
    return test.client { settings = settings }
  end

  setup(function()
    path = os.tmpname()
    client = start { passwords_a_minute = 1000, links_a_minute = 1000 }
  end)

  teardown(function()
    client:close()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)

  after_each(function() client:delete "/sessions" end)

  local count = 0

  --- Makes an account and is logged in as it.
  local function new_account(name)
    count = count + 1
    name = name or ("ann%d"):format(count)
    local res = client:post("/accounts", { json = { name = name, password = "long enough" } })
    assert.equal(201, res.status, res.body)
    return name
  end

  local function shorten(url)
    local res = client:post("/links", { json = { url = url } })
    assert.equal(201, res.status, res.body)
    return res:json().code
  end

  local function links() return client:get("/links"):json().links end

  local function log_in(name, password)
    return client:post("/sessions", { json = { name = name, password = password } })
  end

  it("shows its page to everybody", function()
    local res = client:get "/"
    assert.equal(200, res.status)
    assert.is_truthy(res.body:find("urls.js", 1, true))
    assert.equal("nosniff", res.headers["x-content-type-options"])
    assert.equal(200, client:get("/page/urls.js").status)
  end)

  it("makes an account, logs out and in", function()
    local name = new_account()
    assert.equal("[]", json.encode(links()))
    assert.equal(204, client:delete("/sessions").status)
    assert.equal(401, client:get("/links").status)
    assert.equal(401, log_in(name, "wrong enough").status)
    assert.equal(401, log_in("nobody-at-all", "long enough").status)
    assert.same({ name = name }, log_in(name, "long enough"):json())
    assert.equal(200, client:get("/links").status)
  end)

  it("keeps the cookie from scripts and other sites", function()
    local body = { name = "cookie", password = "long enough" }
    local cookie = client:post("/accounts", { json = body }).headers["set-cookie"]
    for _, word in ipairs { "HttpOnly", "SameSite=Strict", "Max%-Age=2592000" } do
      assert.is_truthy(cookie:find(word), cookie)
    end
  end)

  it("refuses what is no account", function()
    local name = new_account()
    local function refused(status, body)
      local res = client:post("/accounts", { json = body })
      assert.equal(status, res.status, res.body)
      return res:json().detail
    end
    assert.equal("the name is taken", refused(409, { name = name, password = "long enough" }))
    assert.is_string(refused(422, { name = "a b", password = "long enough" }).name)
    assert.is_string(refused(422, { name = ("a"):rep(41), password = "long enough" }).name)
    assert.is_string(refused(422, { name = "short", password = "short" }).password)
    assert.is_string(refused(422, { name = "none" }).password)
    refused(422, 7)
    assert.equal(422, client:post("/sessions", { json = { name = name } }).status)
    assert.equal(400, client:post("/sessions", { body = "{" }).status)
  end)

  it("shortens, follows and counts", function()
    new_account()
    local code = shorten "https://example.org/a?b=c"
    local res = client:get("/" .. code, { follow_redirects = false })
    assert.equal(302, res.status)
    assert.equal("https://example.org/a?b=c", res.headers.location)
    assert.equal("no-store", res.headers["cache-control"])
    async.map({ 1, 2, 3, 4 }, function()
      client:get("/" .. code, { follow_redirects = false })
    end)
    client:finish_tasks()
    assert.equal(5, links()[1].clicks)
  end)

  it("lists the links of an account alone, and removes them", function()
    new_account()
    local code = shorten "http://example.org/mine"
    local other = new_account()
    assert.same({}, links())
    assert.equal(404, client:delete("/links/" .. code).status)
    local own = shorten(("http://example.org/%s"):format(other))
    assert.equal(204, client:delete("/links/" .. own).status)
    assert.equal(404, client:get("/" .. own, { follow_redirects = false }).status)
    assert.equal(302, client:get("/" .. code, { follow_redirects = false }).status)
  end)

  it("refuses what is no address", function()
    new_account()
    for _, url in ipairs { "ftp://example.org", "https://", "http://a b", "javascript:alert(1)",
      "http://x/" .. ("y"):rep(2000) } do
      assert.equal(422, client:post("/links", { json = { url = url } }).status, url)
    end
    assert.equal(422, client:post("/links", { json = { url = 7 } }).status)
    assert.equal(404, client:get("/nothing").status)
  end)

  it("wants an account for links", function()
    assert.equal(401, client:post("/links", { json = { url = "http://example.org" } }).status)
    assert.equal(401, client:delete("/links/abc").status)
    assert.equal(401, client:get("/admin").status)
  end)

  it("has a page for its admin", function()
    new_account()
    shorten "http://example.org/<b>"
    assert.equal(403, client:get("/admin").status)
    new_account "admin"
    local res = client:get "/admin"
    assert.equal("text/html; charset=utf-8", res.headers["content-type"])
    assert.is_truthy(res.body:find "%d+ accounts, %d+ links, %d+ clicks")
    assert.is_truthy(res.body:find("http://example.org/&lt;b&gt;", 1, true), res.body)
  end)

end)

describe("urls, with its limits", function()
  it("limits how often", function()
    local path = os.tmpname()
    local client = test.client { settings = {
      database = path, passwords_a_minute = 2, links_a_minute = 1,
    } }
    local body = { name = "limited", password = "long enough" }
    assert.equal(201, client:post("/accounts", { json = body }).status)
    assert.equal(201, client:post("/links", { json = { url = "http://example.org" } }).status)
    local res = client:post("/links", { json = { url = "http://example.org" } })
    assert.equal(429, res.status)
    assert.equal("60", res.headers["retry-after"])
    assert.equal(200, client:post("/sessions", { json = body }).status)
    assert.equal(429, client:post("/sessions", { json = body }).status)
    client:close()
    for _, suffix in ipairs { "", "-wal", "-shm" } do os.remove(path .. suffix) end
  end)
end)
