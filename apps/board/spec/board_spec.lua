-- board_spec.lua - the board over real HTTP: messages, the live feed, import and export.

local test = require "perilune.test"

describe("board", function()
  local client

  before_each(function() client = test.client() end)
  after_each(function() client:close() end)

  local function import(...)
    local res = client:post("/import", { body = table.concat({ ... }, "\n") })
    assert.equal(200, res.status)
    return res:json().imported
  end

  local hello = '{"author":"ann","text":"hello"}'
  local comma = '{"author":"bob","text":"a \\"quoted\\", line"}'

  it("begins empty", function()
    assert.same({ messages = {}, last = 0 }, client:get("/messages"):json())
  end)

  it("imports lines of JSON and lists them", function()
    assert.equal(2, import(hello, comma))
    local all = client:get("/messages"):json()
    assert.equal(2, all.last)
    assert.same({ id = 1, author = "ann", text = "hello" }, all.messages[1])
    assert.same({ all.messages[2] }, client:get("/messages?after=1"):json().messages)
    assert.same({ all.messages[2] }, client:get("/messages?limit=1"):json().messages)
    assert.same({ all.messages[1] }, client:get("/messages?after=0&limit=1"):json().messages)
    assert.same(all.messages[2], client:get("/messages/2"):json())
  end)

  it("imports more than it holds at once", function()
    local lines = {}
    for i = 1, 12000 do lines[i] = ('{"author":"ann","text":"%d"}'):format(i) end
    assert.equal(12000, import(table.concat(lines, "\n")))
    assert.equal(404, client:get("/messages/1").status)
    assert.equal("2001", client:get("/messages?after=0&limit=1"):json().messages[1].text)
    assert.equal("12000", client:get("/messages/12000"):json().text)
  end)

  it("refuses what is no message", function()
    for _, line in ipairs { '{"author":"a b","text":"x"}', '{"author":"ann"}', '"text"', "[]" } do
      assert.equal(422, client:post("/import", { body = line }).status)
    end
    assert.equal(422, client:get("/messages?limit=-1").status)
    assert.equal(422, client:get("/messages?after=x").status)
    assert.equal(413, client:post("/import", { body = (" "):rep(100000) }).status)
  end)

  it("exports CSV", function()
    import(hello, comma)
    local res = client:get("/messages.csv")
    assert.equal("text/csv; charset=utf-8", res.headers["content-type"])
    assert.equal('id,author,text\r\n1,"ann","hello"\r\n2,"bob","a ""quoted"", line"\r\n', res.body)
  end)

  it("lets wait for the next message, for a while", function()
    import(hello)
    assert.equal("hello", client:get("/messages/next?after=0"):json().text)
    assert.equal(503, client:get("/messages/next").status)
  end)
end)
