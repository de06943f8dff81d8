-- pages_spec.lua - the commands of the tutorial's pages (apps/*/README.md) do what is said there.
--
-- All apps are served at once, on free ports, with files in a directory that is removed at the end;
-- the commands of one page run one after the other, those of all pages beside each other.

local async = require "perilune.async"
local fs = require "perilune.fs"
local page = require "spec.support.page"
local process = require "perilune.process"
local program = require "spec.support.program"
local server = require "spec.support.server"

local LINES_MAX = 20
local LIMIT_S = 20 -- that a task behind an earlier command may take

describe("the pages of the tutorial", function()
  local served, directory = {}, nil

  --- Serves an app, with a directory of its own as TMPDIR.
  local function serve(app, settings)
    local own = directory .. "/" .. app
    fs.mkdir(own)
    local words = { "env", "TMPDIR=" .. own, table.unpack(settings or {}) }
    for _, word in ipairs { program.binary(), "serve", program.root() .. "/apps/" .. app, "--port",
      "0" } do
      words[#words + 1] = word
    end
    served[#served + 1] = server.launch(program.quote(words)):wait_listening()
    return served[#served].port
  end

  setup(function() directory = program.make_directory() end)

  teardown(function()
    for _, one in ipairs(served) do one:kill() end
    fs.remove(directory, { recursive = true })
  end)

  --- The files that the commands send.
  local function write_samples()
    local draw = { "convert", "-size", "40x30", "gradient:red-blue", "jpeg:-", check = true }
    local image = process.run(draw).stdout
    fs.write(directory .. "/upload/photo.jpg", image)
    fs.write(directory .. "/board/cat.jpg", image)
    fs.write(directory .. "/board/lines.jsonl", '{"author":"ann","text":"a line"}\n')
  end

  local function check(app, ports)
    local place, problems = { dir = directory .. "/" .. app, ports = ports, answers = "" }, {}
    local text = program.read(("%s/apps/%s/README.md"):format(program.root(), app))
    for _, shown in ipairs(page.commands(text)) do
      local result, problem
      local deadline = async.now() + LIMIT_S
      repeat
        result = page.run(shown.command, place)
        problem = page.problem(result, shown.words)
      until not problem or async.now() > deadline
      place.answers = place.answers .. result.out
      if problem then
        problems[#problems + 1] = ("%s: %s: %s"):format(app, shown.command, problem)
      end
    end
    return table.concat(problems, "\n")
  end

  it("run as they are", function()
    if os.getenv "SANITIZE" or os.getenv "STRESS" then
      return pending "once is enough: they are for a server of usual speed"
    end
    local services = serve "services"
    local settings = { "PERILUNE_SETTINGS_SERVICES=http://127.0.0.1:" .. services }
    local pages = {}
    for name in fs.each(program.root() .. "/apps", { type = "directory" }) do
      local port = name == "services" and services or serve(name, settings)
      pages[#pages + 1] = { check, name, { [8080] = port, [8081] = services } }
    end
    write_samples()
    local problems = async.gather(pages)
    assert.equal("", table.concat(problems, "\n"):gsub("^\n+", ""):gsub("\n\n+", "\n"))
    assert.is_true(#pages > 10)
  end)

  it("are short, and name the command that serves them", function()
    for name in fs.each(program.root() .. "/apps", { type = "directory" }) do
      local text = program.read(("%s/apps/%s/README.md"):format(program.root(), name))
      local _, count = text:gsub("\n", "")
      assert.is_true(count <= LINES_MAX, name)
      assert.equal(("# %s"):format(name), text:match "^[^\n]+")
      assert.is_truthy(text:find(("./perilune serve apps/%s"):format(name), 1, true), name)
    end
  end)
end)
