-- notes_spec.lua - the notes over real HTTP: writing, reading, tags, the stream.
--
-- Others may write to the same file meanwhile: a spec looks at its own notes alone, by a tag that
-- nobody else has, and deletes them.

local async = require "perilune.async"
local test = require "perilune.test"

describe("notes", function()
  local client, own, made

  before_each(function()
    client = test.client()
    own = ("%p %f"):format({}, async.now())
    made = {}
  end)
  after_each(function()
    for _, id in ipairs(made) do client:delete("/notes/" .. id) end
    client:close()
  end)

  local function post(text, tags)
    local res = client:post("/notes", { json = { text = text, tags = tags } })
    if res.status == 201 then made[#made + 1] = res:json().id end
    return res
  end

  local function of_tag(tag)
    return client:get("/tags/" .. tag:gsub(" ", "%%20")):json()
  end

  it("are kept with their tags", function()
    local id = post("buy tea", { own, "b" }):json().id
    local note = client:get("/notes/" .. id):json()
    assert.equal("buy tea", note.text)
    assert.equal(2, #note.tags)
    assert.same({ { id = id, text = "buy tea" } }, of_tag(own))
    assert.equal(204, client:delete("/notes/" .. id).status)
    assert.same({}, of_tag(own))
    assert.equal(404, client:get("/notes/" .. id).status)
    assert.equal(404, client:delete("/notes/" .. id).status)
  end)

  it("are kept as a whole or not at all", function()
    assert.equal(409, post("twice", { own, own }).status)
    assert.same({}, of_tag(own))
    assert.equal(422, post(7).status)
    assert.equal(422, post("text", "tag").status)
  end)

  it("are written by many at once, and streamed", function()
    local list = {}
    for i = 1, 40 do list[i] = { post, ("%s note %d"):format(own, i), { own } } end
    async.gather(list)
    assert.equal(40, #of_tag(own))
    local text, count = client:get "/notes.txt".body, 0
    for i = 1, 40 do
      if text:find(("%s note %d\n"):format(own, i), 1, true) then count = count + 1 end
    end
    assert.equal(40, count)
  end)
end)
