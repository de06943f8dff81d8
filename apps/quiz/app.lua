-- app.lua - four questions that everybody is asked about sync and async, answered by running them.
--
-- The questions and the answers in words are in README.md.

local async = require "perilune.async"
local perilune = require "perilune"

local app = perilune.app { name = "quiz" }

-- Questions 1 and 2: does anybody else get to run while a handler sleeps? Somebody else is a task
-- on the event loop, where all requests are; the handler sleeps until it has run, or for so long.
local function somebody_else() return "here I am" end

local function sleep_until_others_run(req, sleep)
  local seconds = tonumber(req.query.seconds or "2")
  if not seconds or seconds < 0 or seconds > 10 then perilune.abort(400, "seconds: 0 to 10") end
  local task, ends = req.tasks:schedule(somebody_else), async.now() + seconds
  repeat sleep(0.01) until task.status == "done" or async.now() >= ends
  return { others_ran = task.status == "done" }
end

app:get("/1", perilune.blocking(function(req)
  return sleep_until_others_run(req, async.sleep) -- holds this thread alone
end))

app:get("/2", function(req)
  return sleep_until_others_run(req, function(seconds)
    os.execute(("sleep %f"):format(seconds)) -- holds the event loop
  end)
end)

-- Question 3: what of work for the processor? It goes to the pool, and there as many at once as
-- there are cores. This is LZW, in Lua.
local function compress(text)
  local codes, count, out, word = {}, 256, {}, ""
  for i = 0, 255 do codes[string.char(i)] = i end
  for char in text:gmatch "." do
    if codes[word .. char] then
      word = word .. char
    else
      out[#out + 1], codes[word .. char], count = codes[word], count, count + 1
      word = char
    end
  end
  out[#out + 1] = codes[word]
  return #out
end

local compress_on_pool = perilune.blocking(compress)

app:get("/3", function(req)
  local size = math.tointeger(tonumber(req.query.kilobytes or "200"))
  if not size or size < 1 or size > 2000 then perilune.abort(400, "kilobytes: from 1 to 2000") end
  local text, jobs, begun = ("to be or not to be "):rep(size * 1024 // 19), {}, async.now()
  for i = 1, 4 do jobs[i] = { compress_on_pool, text } end
  local codes = async.gather(jobs)
  return { codes = codes, seconds = async.now() - begun }
end)

-- Question 4: one of two calls fails; what becomes of the other?
local function fail()
  async.sleep(0.01)
  error("no answer", 0)
end

app:get("/4", function()
  local other
  local function outlive()
    local _ <close> = setmetatable({}, { __close = function(_, err) other = err.kind end })
    async.sleep(60)
    return "an answer"
  end
  local _, err = pcall(async.gather, fail, outlive)
  local rows = async.settle(fail, function() return "an answer" end)
  return { raised = err, other = other, settled = { rows[1].error, rows[2].value } }
end)

return app
