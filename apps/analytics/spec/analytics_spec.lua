-- analytics_spec.lua - every route of apps/analytics, over real HTTP, and its page in a browser.
--
-- Batches of two, so that both ways to be written are seen: a full batch, and one whose time has
-- come.

local async = require "perilune.async"
local fs = require "perilune.fs"
local json = require "perilune.json"
local process = require "perilune.process"
local test = require "perilune.test"

local LIMIT_S = 20

-- Shows the app's page in a frame, clicks there, and writes what its chart has come to. Chromium
-- prints a page once it has loaded: until then the document of the second frame stays open.
local CHECK_PAGE = [[
<!doctype html>
<title>check</title>
<iframe id="page" src="/"></iframe><iframe id="open"></iframe>
<pre id="seen"></pre>
<script>
  const page = document.getElementById("page");
  const open = document.getElementById("open").contentDocument;
  open.open();
  let clicked = false;
  const timer = setInterval(() => {
    const app = page.contentDocument;
    const text = app?.getElementById("chart")?.textContent ?? "";
    if (text.includes("purchase") && !clicked) {
      clicked = true;
      app.querySelector("[data-name=signup]").click();
    }
    if (!text.includes("signup")) return;
    clearInterval(timer);
    document.getElementById("seen").textContent = text;
    open.close();
  }, 10);
</script>
]]

local function installed_chromium()
  for _, name in ipairs { "chromium-headless-shell", "chromium" } do
    if pcall(process.run, { name, "--version", check = true }) then return name end
  end
end

describe("analytics", function()
  local client, path

  before_each(function()
    path = os.tmpname()
    client = test.client { settings = { file = path, batch = 2, interval = 0.05 } }
  end)

  after_each(function()
    client:close()
    os.remove(path)
  end)

  local function send(name)
    local res = client:post("/events", { json = { name = name, path = "/" } })
    assert.equal(202, res.status, res.body)
  end

  local function totals() return client:get("/totals"):json() end

  local function wait_until(check)
    async.timeout(LIMIT_S, function()
      while not check() do async.sleep(0.001) end
    end)
  end

  local function lines()
    local events = {}
    for line in fs.read(path):gmatch "[^\n]+" do events[#events + 1] = json.decode(line) end
    return events
  end

  it("counts what comes", function()
    send "view"
    send "view"
    send "signup"
    client:finish_tasks()
    assert.same({ view = 2, signup = 1 }, totals().totals)
  end)

  it("writes each event once, in batches", function()
    for _ = 1, 5 do send "view" end
    wait_until(function() return totals().written == 5 end)
    local events = lines()
    assert.equal(5, #events)
    assert.same({ "view", "/" }, { events[1].name, events[1].path })
    assert.equal(0, totals().waiting)
  end)

  it("writes what is left when it ends", function()
    client:close()
    client = test.client { settings = { file = path, batch = 1000, interval = 1000 } }
    send "last"
    client:finish_tasks()
    client:close()
    assert.equal("last", lines()[1].name)
  end)

  it("refuses what is no event", function()
    for _, body in ipairs { {}, { name = 7 }, { name = ("x"):rep(51) } } do
      assert.equal(422, client:post("/events", { json = body }).status)
    end
    assert.equal(400, client:post("/events", { body = "{" }).status)
    assert.same({}, totals().totals)
  end)

  it("feeds whoever looks", function()
    send "view"
    client:finish_tasks()
    local seen = {}
    for event in client:events "/feed" do
      seen[#seen + 1] = json.decode(event.data).view
      assert.equal("totals", event.event)
      if #seen == 1 then send "view" end
      if seen[#seen] == 2 then break end
    end
    assert.equal(1, seen[1])
    assert.equal(2, seen[#seen])
  end)

  it("draws a live chart in a browser", function()
    local chromium = installed_chromium()
    if not chromium then return pending "chromium is not installed" end
    client:close()
    client = test.client { settings = { file = path, batch = 2, interval = 0.05 }, dir = true }
    fs.write(client.dir .. "/public/check.html", CHECK_PAGE)
    send "purchase"
    local profile = os.tmpname()
    fs.remove(profile)
    local page = process.run { chromium, "--headless", "--no-sandbox", "--disable-gpu",
      "--disable-dev-shm-usage", "--no-first-run", "--no-proxy-server",
      "--disable-background-networking", "--disable-component-update",
      "--user-data-dir=" .. profile, "--dump-dom", client.url .. "/check.html", timeout = 100,
    }.stdout
    fs.remove(profile, { recursive = true, missing_ok = true })
    assert.is_truthy(page:find("<pre id=\"seen\">purchase1signup1</pre>", 1, true), page)
  end)
end)
