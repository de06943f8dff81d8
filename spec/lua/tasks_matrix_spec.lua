-- tasks_matrix_spec.lua - which tasks start, for each kind of handler, task, timing, end, outcome.
--
-- All combinations, generated. One request schedules a task of each kind for each timing and
-- outcome; what they have written must be what the rule below says: once, and in order.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local program = require "support.program"
local raw = require "support.raw"
local site = require "support.site"
local wait = require "support.wait"

local HANDLERS = { "plain", "blocking", "background", "streamed", "streamed_blocking" }

--- For each end of a handler: its status, and whether it has failed at the later two points.
local ENDS = {
  success = { status = 200 },
  error = { status = 500, after_route = true, after_response = true },
  abort_404 = { status = 404, after_route = true, after_response = true },
  abort_303 = { status = 303 },
  timeout = { status = 503, after_route = true, after_response = true },
  stream_failure = { after_response = true, is_streamed = true },
  disconnect = {},
}

local client, app

setup(function()
  client = site.open "tasks_matrix"
  app = client.app
end)
teardown(function() client:close() end)

--- The rule. An immediate task starts whatever the handler does later.
local function starts(timing, outcome, finish)
  if timing == "now" or outcome == "any" then return true end
  return (finish[timing] or false) == (outcome == "failure")
end

--- What tasks of one kind write, in this order.
local function expected_lines(finish)
  local lines = {}
  for _, timing in ipairs(app.TIMINGS) do
    for _, outcome in ipairs(app.OUTCOMES) do
      if starts(timing, outcome, finish) then
        lines[#lines + 1] = timing .. " " .. outcome .. "\n"
      end
    end
  end
  return table.concat(lines)
end

--- Sends the request and lets it come to its end, by leaving if that is it.
local function request(target, name, finish, path)
  if name == "disconnect" then
    local connection = raw.connect(client.port)
    connection:send(("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"):format(target))
    wait.wait_until(function() return program.read(path .. "plain") ~= "" end, nil, "the handler")
    connection:reset()
    return
  end
  local ok, res = pcall(client.get, client, target)
  if finish.status then
    assert.equal(finish.status, ok and res.status, res)
  else
    assert.is_false(ok)
  end
end

local function check(handler, name)
  local finish, path = ENDS[name], os.tmpname()
  local expected = expected_lines(finish)
  finally(function()
    os.remove(path)
    for _, kind in ipairs(app.KINDS) do os.remove(path .. kind) end
  end)
  request(("/%s?ends=%s&path=%s"):format(handler, name, path), name, finish, path)
  for _, kind in ipairs(app.KINDS) do
    local function written() return program.read(path .. kind) end
    wait.wait_until(function() return #written() >= #expected end, nil, function()
      return ("%s tasks: %s"):format(kind, written())
    end)
    app.tasks:schedule(app.writers[kind], path .. kind, "last"):wait()
    assert.equal(expected .. "last\n", written(), kind)
  end
end

for _, handler in ipairs(HANDLERS) do
  describe(("a %s handler that ends by"):format(handler), function()
    for name, finish in pairs(ENDS) do
      if not finish.is_streamed or handler:find "^streamed" then
        it(name, function() check(handler, name) end)
      end
    end
  end)
end
