-- notes_spec.lua - the notes over real HTTP: writing, reading, tags, the stream, the inbox.
--
-- Each case has a directory of its own, with the database and the inbox.

local async = require "perilune.async"
local fs = require "perilune.fs"
local test = require "perilune.test"

local LIMIT_S = 20

describe("notes", function()
  local client, directory

  before_each(function()
    directory = os.tmpname()
    fs.remove(directory)
    fs.mkdir(directory)
    local settings = { database = directory .. "/db", inbox = directory .. "/inbox" }
    client = test.client { settings = settings }
  end)
  after_each(function()
    client:close()
    fs.remove(directory, { recursive = true })
  end)

  local function post(text, tags)
    return client:post("/notes", { json = { text = text, tags = tags } })
  end

  local function of_tag(tag) return client:get("/tags/" .. tag):json() end

  it("are kept with their tags", function()
    local id = post("buy tea", { "a", "b" }):json().id
    assert.same({ id = id, text = "buy tea", tags = { { name = "a" }, { name = "b" } } },
      client:get("/notes/" .. id):json())
    assert.same({ { id = id, text = "buy tea" } }, of_tag "b")
    assert.equal(204, client:delete("/notes/" .. id).status)
    assert.same({}, of_tag "b")
    assert.equal(404, client:get("/notes/" .. id).status)
    assert.equal(404, client:delete("/notes/" .. id).status)
  end)

  it("are kept as a whole or not at all", function()
    assert.equal(409, post("twice", { "a", "a" }).status)
    assert.same({}, of_tag "a")
    assert.equal("", client:get("/notes.txt").body)
    assert.equal(422, post(7).status)
    assert.equal(422, post("text", "tag").status)
    assert.equal(422, client:post("/notes", { json = 7 }).status)
    assert.equal(400, client:post("/notes", { body = "{" }).status)
    assert.equal(201, post("once", { "a" }).status)
  end)

  it("are written by many at once, and streamed", function()
    local list = {}
    for i = 1, 40 do list[i] = { post, ("note %d"):format(i), { "many" } } end
    async.gather(list)
    assert.equal(40, #of_tag "many")
    local text = client:get("/notes.txt").body
    for i = 1, 40 do assert.is_truthy(text:find(("note %d\n"):format(i), 1, true)) end
  end)

  it("come from files, too: those that are there, and those that come", function()
    local inbox = directory .. "/inbox"
    client:close()
    fs.write(inbox .. "/first", "call Ann")
    client = test.client { settings = { database = directory .. "/db", inbox = inbox } }
    local function wait_for(text)
      async.timeout(LIMIT_S, function()
        while client:get("/notes.txt").body ~= text do async.sleep(0.001) end
        while #fs.list(inbox) > 0 do async.sleep(0.001) end
      end)
    end
    wait_for "call Ann\n"
    fs.write(directory .. "/second", "call Bob")
    fs.rename(directory .. "/second", inbox .. "/second")
    wait_for "call Ann\ncall Bob\n"
  end)
end)
