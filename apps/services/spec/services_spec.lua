-- services_spec.lua - every route of apps/services, over real HTTP.
--
-- Its answers to what is wrong are looked at too, since other pages rely on them.

local test = require "perilune.test"

describe("services", function()
  local client

  setup(function() client = test.client() end)
  teardown(function() client:close() end)
  before_each(function() assert.equal(204, client:delete("/received").status) end)

  it("has items", function()
    assert.same({ id = 7, name = "item 7" }, client:get("/items/7?seconds=0"):json())
    assert.equal(404, client:get("/items/0?seconds=0").status)
    assert.equal(404, client:get("/items/some").status)
    assert.equal(400, client:get("/items/1?seconds=long").status)
  end)

  it("keeps files", function()
    local bytes = "\0\255 any bytes"
    local options = { body = bytes, headers = { ["Content-Type"] = "image/jpeg" } }
    local res = client:put("/files/a.jpg", options)
    assert.equal(201, res.status)
    assert.same({ url = "/files/a.jpg" }, res:json())
    assert.equal(200, client:put("/files/a.jpg", options).status)
    res = client:get "/files/a.jpg"
    assert.equal(bytes, res.body)
    assert.equal("image/jpeg", res.headers["content-type"])
    assert.equal(404, client:get("/files/b.jpg").status)
  end)

  it("takes messages", function()
    local mail = { to = "ann@example.org", subject = "Welcome" }
    assert.equal("[]", client:get("/received").body:match '"received":(.-)}')
    assert.equal(202, client:post("/mails?seconds=0", { json = mail }).status)
    assert.equal(202, client:post("/hooks?seconds=0", { json = { event = "sent" } }).status)
    assert.equal(202, client:post("/charges?seconds=0", { json = { cents = 700 } }).status)
    assert.same({ received = {
      { kind = "mail", message = mail },
      { kind = "event", message = { event = "sent" } },
      { kind = "charge", message = { cents = 700 } },
    } }, client:get("/received"):json())
  end)

  it("refuses what is no message", function()
    for path, wrong in pairs {
      ["/mails"] = { to = "nobody", subject = "" }, ["/hooks"] = {}, ["/charges"] = { cents = -1 },
    } do
      assert.equal(422, client:post(path, { json = wrong }).status, path)
      assert.equal(400, client:post(path, { body = "{" }).status, path)
    end
    assert.same({ received = {} }, client:get("/received"):json())
  end)
end)
