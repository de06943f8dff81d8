-- upload_spec.lua - every route of apps/upload, over real HTTP, with apps/services as the CDN.
--
-- The images are made by the program that makes the thumbnails.

local async = require "perilune.async"
local fs = require "perilune.fs"
local process = require "perilune.process"
local test = require "perilune.test"

local here = debug.getinfo(1, "S").source:match "^@(.*)/upload/spec/"
local beside = dofile(here .. "/services/beside.lua")

local function draw(size, format)
  return process.run { "convert", "-size", size, "gradient:red-blue", format .. ":-", check = true }
    .stdout
end

--- Width and height of a JPEG.
local function size_of(bytes)
  return process.run { "convert", "jpeg:-", "-format", "%wx%h", "info:-", stdin = bytes,
    check = true }.stdout
end

describe("upload", function()
  local services, client, directory

  setup(function()
    directory = os.tmpname()
    fs.remove(directory)
    services = beside.start(here .. "/services")
    client = test.client { settings = { services = services.url, directory = directory } }
  end)

  teardown(function()
    client:close()
    services:close()
    fs.remove(directory, { recursive = true })
  end)

  local function post(path, data, content_type)
    return client:post(path, {
      multipart = { image = { data = data, filename = "a", content_type = content_type } },
    })
  end

  it("gives a thumbnail back", function()
    local res = post("/resize?width=100", draw("640x480", "jpeg"), "image/jpeg")
    assert.equal(200, res.status, res.body)
    assert.equal("image/jpeg", res.headers["content-type"])
    assert.equal("100x75", size_of(res.body))
    res = post("/resize", draw("300x600", "png"), "image/png")
    assert.equal("100x200", size_of(res.body))
  end)

  it("does not enlarge", function()
    assert.equal("50x40", size_of(post("/resize", draw("50x40", "gif"), "image/gif").body))
  end)

  it("takes several at once", function()
    local image = draw("200x100", "jpeg")
    local sizes = async.map({ 10, 20, 30, 40 }, function(width)
      return size_of(post("/resize?width=" .. width, image, "image/jpeg").body)
    end)
    assert.same({ "10x5", "20x10", "30x15", "40x20" }, { table.unpack(sizes) })
  end)

  it("takes an image that does not fit in memory's share of a form", function()
    local large = draw("1200x1000", "png") .. ("\0"):rep(2 * 1024 * 1024)
    assert.equal("60x50", size_of(post("/resize?width=60", large, "image/png").body))
  end)

  it("refuses what is no image", function()
    assert.equal(422, post("/resize", "no image", "image/jpeg").status)
    assert.equal(422, post("/resize", draw("5x5", "png"), "image/jpeg").status)
    assert.equal(415, post("/resize", "text", "text/plain").status)
    assert.equal(422, client:post("/resize", { multipart = { other = "x" } }).status)
    assert.equal(400, post("/resize?width=0", draw("5x5", "gif"), "image/gif").status)
    assert.equal(415, client:post("/resize", { json = {} }).status)
  end)

  it("publishes behind the response", function()
    assert.equal(202, post("/photos/ann", draw("800x400", "jpeg"), "image/jpeg").status)
    client:finish_tasks()
    local published = services:get "/files/ann.jpg"
    assert.equal("image/jpeg", published.headers["content-type"])
    assert.equal("400x200", size_of(published.body))
    assert.same({ event = "published", url = "/files/ann.jpg" }, services:wait_for("event", 1))
    assert.equal(0, #fs.list(directory))
  end)

  it("leaves nothing behind where publishing fails", function()
    assert.equal(202, post("/photos/bob", "no image", "image/jpeg").status)
    local ok, err = pcall(client.finish_tasks, client)
    assert.is_false(ok)
    assert.is_truthy(tostring(err):find("publish", 1, true), tostring(err))
    assert.equal(404, services:get("/files/bob.jpg").status)
    assert.equal(0, #fs.list(directory))
  end)
end)
