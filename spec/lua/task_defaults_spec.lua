-- task_defaults_spec.lua - task_defaults of an app: merged with the options of each task.
--
-- Handlers are functions of the spec: spec/apps/task_defaults calls app.handler.

local spec = debug.getinfo(1, "S").source:match "^@(.*)/lua/[^/]+$"
package.path = spec .. "/?.lua;" .. package.path

local async = require "perilune.async"
local perilune = require "perilune"
local program = require "support.program"
local site = require "support.site"
local wait = require "support.wait"

local client, app

setup(function()
  client = site.open "task_defaults"
  app = client.app
end)
teardown(function() client:close() end)

local function timed(tasks, timing)
  return timing == "now" and tasks or tasks[timing]
end

local function until_ended(task)
  return wait.wait_until(function()
    return task.status ~= "waiting" and task.status ~= "running" and task
  end, nil, "the end of a task")
end

local function fail(err) error(err, 0) end

describe("defaults of an app", function()
  it("hold for all timings, and one task overrides them by field (P52, P53, P55, P56, P57)",
    function()
      for _, timing in ipairs { "now", "after_route", "after_response" } do
        local plain, own, off
        app.handler = function(req)
          local tasks = timed(req.tasks, timing)
          plain = tasks:schedule(fail, "plain")
          own = tasks:task { shield = false, name = "own" }:schedule(fail, "own")
          off = tasks:task { on_error = false }:schedule(fail, "off")
        end
        assert.equal(204, client:get("/do").status)
        for _, task in ipairs { plain, own, off } do until_ended(task) end
        for _ = 1, 5 do async.checkpoint() end
        assert.same({ "default: plain", "own: own" }, app.events)
        assert.is_true(plain.config.shield)
        assert.is_false(own.config.shield)
        assert.is_true(off.config.shield)
        app.events[1], app.events[2] = nil, nil
      end
    end)

  it("are shared by what is mounted in it (P3)", function()
    assert.equal("default", client:get("/inner/name").body)
    assert.equal("true", client:get("/inner/app").body)
  end)

  it("hold for app.tasks and perilune.tasks", function()
    local names = {}
    app.handler = function()
      names[1] = app.tasks:schedule(print).name
      names[2] = perilune.tasks:schedule(print).name
    end
    client:get "/do"
    assert.same({ "default", "default" }, names)
  end)

  it("that are wrong are an error at the line of perilune.app", function()
    local directory = program.make_directory { ["app.lua"] = [[
local perilune = require "perilune"
local app = perilune.app { task_defaults = { retires = 3 } }
return app
]] }
    local result = program.run { "routes", directory }
    program.remove_directory(directory)
    assert.equal(1, result.code)
    assert.is_truthy(result.err:find('app.lua:2: unknown option "retires"', 1, true), result.err)
  end)
end)
