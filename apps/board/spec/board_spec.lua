-- board_spec.lua - the board over real HTTP: login, messages, photos, the feed, import, export.
--
-- Photos that a spec uploads are removed by deleting their messages.

local async = require "perilune.async"
local json = require "perilune.json"
local test = require "perilune.test"

describe("board", function()
  local client, cookie

  local function call(method, path, options)
    options = options or {}
    options.headers = options.headers or {}
    options.headers.cookie = options.headers.cookie or cookie
    return client[method](client, path, options)
  end

  local function log_in(name)
    local res = client:post("/login", { form = { name = name } })
    assert.equal(200, res.status)
    cookie = res.headers["set-cookie"]:match "^[^;]+"
  end

  before_each(function()
    client = test.client()
    log_in "ann"
  end)
  after_each(function() client:close() end)

  local function import(...)
    local res = call("post", "/import", { body = table.concat({ ... }, "\n") })
    assert.equal(200, res.status)
    return res:json().imported
  end

  local function post(text)
    local res = call("post", "/messages", { json = { text = text } })
    assert.equal(201, res.status)
    return res
  end

  local hello = '{"author":"ann","text":"hello"}'
  local comma = '{"author":"bob","text":"a \\"quoted\\", line"}'

  describe("a login", function()
    it("signs the name, and is wanted where something changes", function()
      for _, forged in ipairs { "none=1", "board_user=ann", cookie:gsub("=ann", "=bob"), nil } do
        local headers = { cookie = forged }
        local res = call("post", "/messages", { headers = headers, json = { text = "x" } })
        assert.equal(401, res.status)
        assert.same({ detail = "log in first" }, res:json())
      end
      assert.equal("ann", post("x"):json().author)
    end)

    it("wants a name that can be one", function()
      for _, name in ipairs { "", "a b", ("x"):rep(21) } do
        assert.equal(422, client:post("/login", { form = { name = name } }).status)
      end
    end)

    it("ends", function()
      local res = call("post", "/logout")
      assert.equal(303, res.status)
      assert.equal("/", res.headers.location)
      assert.truthy(res.headers["set-cookie"]:find "^board_user=;")
    end)
  end)

  describe("messages", function()
    it("are none at first", function()
      assert.same({ messages = {}, last = 0 }, client:get("/messages"):json())
      assert.equal(404, client:get("/messages/latest").status)
    end)

    it("are posted, read, and deleted by who wrote them", function()
      local res = post "Grüße"
      local message = { id = 1, author = "ann", text = "Grüße" }
      assert.same(message, res:json())
      assert.equal("/messages/1", res.headers.location)
      assert.same(message, client:get("/messages/1"):json())
      local latest = client:get("/messages/latest")
      assert.equal(302, latest.status)
      assert.equal("/messages/1", latest.headers.location)
      local ann = cookie
      log_in "bob"
      assert.equal(403, call("delete", "/messages/1").status)
      cookie = ann
      assert.equal(204, call("delete", "/messages/1").status)
      assert.equal(404, call("delete", "/messages/1").status)
      assert.equal(404, client:get("/messages/1").status)
    end)

    it("are listed from where they are wanted", function()
      assert.equal(2, import(hello, comma))
      local all = client:get("/messages"):json()
      assert.equal(2, all.last)
      assert.same({ id = 1, author = "ann", text = "hello" }, all.messages[1])
      assert.same({ all.messages[2] }, client:get("/messages?after=1"):json().messages)
      assert.same({ all.messages[2] }, client:get("/messages?limit=1"):json().messages)
      assert.same({ all.messages[1] }, client:get("/messages?after=0&limit=1"):json().messages)
    end)

    it("are refused when they are none", function()
      for _, line in ipairs { '{"author":"a b","text":"x"}', '{"author":"ann"}', '"text"', "[]" } do
        assert.equal(422, call("post", "/import", { body = line }).status)
      end
      for _, text in ipairs { "", ("x"):rep(2001), 7 } do
        assert.equal(422, call("post", "/messages", { json = { text = text } }).status)
      end
      assert.equal(400, call("post", "/messages", { body = "{" }).status)
      assert.equal(422, client:get("/messages?limit=-1").status)
      assert.equal(422, client:get("/messages?after=x").status)
    end)

    it("are waited for, for a while", function()
      local _, next_one = async.gather({ post, "new" }, function()
        return client:get("/messages/next?after=0")
      end)
      assert.equal("new", next_one:json().text)
      assert.equal(503, client:get("/messages/next").status)
    end)
  end)

  describe("the feed", function()
    --- The messages of a feed, one by one, with the ids of their events.
    local function read_feed(res)
      return coroutine.wrap(function()
        local text = ""
        for piece in res:chunks() do
          text = text .. piece
          for event in text:gmatch "(.-)\n\n" do
            local data = event:match "data: (.*)" -- none in what only keeps it alive
            if data then coroutine.yield(json.decode(data), event:match "id: (%d+)") end
          end
          text = text:match ".*\n\n(.*)$" or text
        end
      end)
    end

    it("brings messages as they are posted", function()
      import(hello, comma)
      local res <close> = client:get("/feed?after=1", { stream = true })
      local next_message = read_feed(res)
      assert.equal(2, next_message().id)
      post "now"
      local message, id = next_message()
      assert.same({ id = 3, author = "ann", text = "now" }, message)
      assert.equal("3", id)
      local headers = { ["Last-Event-ID"] = "2" }
      local again <close> = client:get("/feed", { stream = true, headers = headers })
      assert.equal("now", read_feed(again)().text)
    end)

    it("is a stream of events", function()
      local res = client:head("/feed")
      assert.equal(200, res.status)
      assert.equal("text/event-stream", res.headers["content-type"])
      assert.equal(422, client:get("/feed?after=x").status)
    end)
  end)

  describe("import and export", function()
    it("take more than is held at once", function()
      local lines = {}
      for i = 1, 12000 do lines[i] = ('{"author":"ann","text":"%d"}'):format(i) end
      assert.equal(12000, import(table.concat(lines, "\n")))
      assert.equal(404, client:get("/messages/1").status)
      assert.equal("2001", client:get("/messages?after=0&limit=1"):json().messages[1].text)
      assert.equal("12000", client:get("/messages/12000"):json().text)
    end)

    it("keep the lines before one that is no JSON", function()
      local res = call("post", "/import", { body = hello .. '\n{"author":' })
      assert.equal(400, res.status)
      assert.truthy(res:json().detail:find("invalid JSON", 1, true))
      assert.equal(1, client:get("/messages"):json().last)
      assert.equal(413, call("post", "/import", { body = (" "):rep(100000) }).status)
    end)

    it("write CSV", function()
      import(hello, comma)
      local res = client:get("/messages.csv")
      assert.equal("text/csv; charset=utf-8", res.headers["content-type"])
      assert.equal('id,author,text\r\n1,"ann","hello"\r\n2,"bob","a ""quoted"", line"\r\n',
        res.body)
    end)
  end)

  describe("photos", function()
    local pixels = ("\0\1\2\r\n--x"):rep(300000)

    local function part(disposition, content)
      return ("--cut\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n"):format(disposition,
        content)
    end

    --- Uploads a form with a text and, unless there is no type, a photo.
    local function upload(content_type)
      local body = part('name="text"', "cat")
      if content_type then
        local disposition = 'name="photo"; filename="../näme.png"\r\nContent-Type: ' .. content_type
        body = body .. part(disposition, pixels)
      end
      local headers = { ["content-type"] = "multipart/form-data; boundary=cut" }
      return call("post", "/photos", { body = body .. "--cut--\r\n", headers = headers })
    end

    it("are uploaded, sent, listed and deleted", function()
      local message = upload("image/png"):json()
      assert.equal("cat", message.text)
      local name = message.photo:match "^/photos/(%w+%.png)$"
      local res = client:get(message.photo)
      assert.equal("image/png", res.headers["content-type"])
      assert.equal(pixels, res.body)
      local piece = client:get(message.photo, { headers = { range = "bytes=5-9" } })
      assert.equal(206, piece.status)
      assert.equal(pixels:sub(6, 10), piece.body)
      local list = client:get("/photos/list.csv").body
      assert.truthy(list:find(("\r\n%s,%d\r\n"):format(name, #pixels), 1, true))
      assert.equal(204, call("delete", ("/messages/%d"):format(message.id)).status)
      assert.equal(404, client:get(message.photo).status)
      assert.falsy(client:get("/photos/list.csv").body:find(name, 1, true))
    end)

    it("go with their messages, some time after those were dropped", function()
      local photo = upload("image/gif"):json().photo
      local lines = {}
      for i = 1, 10000 do lines[i] = hello end
      assert.equal(10000, import(table.concat(lines, "\n")))
      assert.equal(404, client:get("/messages/1").status)
      local limit = async.now() + 30
      while client:get(photo).status ~= 404 do
        assert.is_true(async.now() < limit)
        async.sleep(0.01)
      end
    end)

    it("are refused when they are none", function()
      assert.equal(422, upload().status)
      assert.equal(415, upload("text/plain").status)
      assert.equal(415, call("post", "/photos", { json = {} }).status)
      assert.equal(404, client:get("/photos/..%2fapp.lua").status)
    end)
  end)

  describe("answers", function()
    it("have a page where there is nothing, for people", function()
      local res = client:get("/none", { headers = { accept = "text/html,*/*" } })
      assert.equal(404, res.status)
      assert.equal("text/html; charset=utf-8", res.headers["content-type"])
      assert.same({ detail = "Not Found" }, client:get("/none"):json())
    end)

    it("have headers of the app, those of public/ too", function()
      for _, path in ipairs { "/", "/app.js", "/none", "/messages" } do
        assert.equal("nosniff", client:get(path).headers["x-content-type-options"])
      end
      assert.truthy(client:get("/messages").headers["server-timing"]:find "^app;dur=[%d.]+$")
    end)

    it("let the pages of another origin read them", function()
      local origin = client.app.settings.origins
      local res = client:get("/messages", { headers = { origin = origin } })
      assert.equal(origin, res.headers["access-control-allow-origin"])
      res = client:get("/messages", { headers = { origin = "http://else.example" } })
      assert.is_nil(res.headers["access-control-allow-origin"])
    end)
  end)
end)
