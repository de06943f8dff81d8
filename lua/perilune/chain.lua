-- chain.lua - a route's handler with the middleware and error handlers around it, as one function.
--
-- Made once, when the app has loaded; a route without any of them keeps its plain handler. Inside,
-- every layer gives a response object: what it returned, or what became of its error. Only
-- cancellation is raised through all layers.

local async = require "perilune.async"
local develop = require "perilune.native.develop"
local native = require "perilune.native.chain"
local response = require "perilune.response"

local chain = {}

local OK, NO_CONTENT, ERROR, BUSY = 200, 204, 500, 503
local prepare, render, save_trail = native.prepare, native.render, native.save_trail

local function kind_of(err)
  local ok, kind = pcall(function() return err.kind end)
  return ok and kind or nil
end

--- The innermost error handler for an error; at one level that of its kind before that of all. What
--- the full queue of a pool kept from running at all has not failed: only its kind counts.
local function find_rescuer(around, err, is_full)
  local kind = kind_of(err)
  for _, level in ipairs(around.rescuers) do
    local rescuer = kind ~= nil and level.by_kind[kind]
    if not rescuer and not (is_full and around.is_blocking) then rescuer = level.any end
    if rescuer then return rescuer.fn end
  end
end

--- The response of an abort; nil and what is wrong with it when it cannot be sent.
local function answer_abort(req, err)
  local ok, result = pcall(native.answer_abort, req, err)
  if ok then return result end
  return nil, result
end

--- Calls what answers instead of the server; nil when it gives nothing, or fails.
local function ask(what, status, req, cause, fn, ...)
  local ok, result = xpcall(render, save_trail, what, status, nil, fn, ...)
  if ok then return result end
  local kind = native.kind(result)
  if kind == "cancelled" then error(result, 0) end
  if kind == "abort" then
    local answer
    answer, result = answer_abort(req, result)
    if answer then return answer end
  end
  native.log_failed(req, what .. " failed", result, cause)
end

local function has_header(res, wanted)
  for name in pairs(res.headers) do
    if name:lower() == wanted then return true end
  end
  return false
end

--- What the server itself answers.
local function answer_default(req, status, statuses)
  local fn = statuses[status]
  local result = fn and fn(req) or native.default_response(status)
  if status == BUSY and not has_header(result, "retry-after") then
    result.headers["Retry-After"] = "1"
  end
  return result
end

--- The response for an error; its log line comes first.
local function rescue(req, err, what, around)
  local kind = native.kind(err)
  if kind == "cancelled" then error(err, 0) end
  if kind == "abort" then
    local answer, problem = answer_abort(req, err)
    if answer then
      answer.error = err
      return answer
    end
    err, kind = problem, nil
  end
  local is_full = kind == "full"
  local status = is_full and BUSY or ERROR
  if is_full then
    native.log_refused(req, "refused with 503", err)
  elseif kind == "disconnected" and req:is_disconnected() then
    native.log_left(req, what .. " ended", err)
  else
    native.log_failed(req, what .. " failed", err)
  end
  local fn = find_rescuer(around, err, is_full)
  local sent = fn and native.is_marked(fn) and native.copy_error(err) or err
  local result = fn and ask("on_error", status, req, err, fn, req, sent)
  if not result and not is_full and develop.is_on() then result = develop.page(req, err) end
  result = result or answer_default(req, status, around.statuses)
  result.error = err
  return result
end

local function around_handler(handler, around)
  return function(req)
    local ok, result = xpcall(render, save_trail, "the handler", OK, nil, handler, req)
    if not ok then return rescue(req, result, "handler", around) end
    return result or response.new { status = NO_CONTENT }
  end
end

local function finish(req, around, ok, ...)
  if ok then return ... end
  return rescue(req, (...), "handler", around)
end

--- A handler without middleware: nobody looks at its response before it is sent.
local function around_only(handler, around)
  return function(req)
    return finish(req, around, xpcall(prepare, save_trail, "the handler", handler, req))
  end
end

--- A blocking middleware: no result means go on.
local function before(fn, below, around)
  return function(req)
    local ok, result = xpcall(render, save_trail, "the middleware", OK, nil, fn, req)
    if not ok then return rescue(req, result, "middleware", around) end
    return result or below(req)
  end
end

local function proceed(call, below, req)
  if call.has_ended then error("proceed() was called after its middleware had returned", 3) end
  if call.has_proceeded then
    error("proceed() was called twice: it gives the response once", 3)
  end
  call.has_proceeded = true
  local result = below(req)
  call.response = result
  return result
end

--- A plain middleware; what it does not return is the response of proceed().
local function around_below(fn, below, around)
  return function(req)
    local call = { has_proceeded = false, has_ended = false, response = false }
    local ok, result = xpcall(render, save_trail, "the middleware", OK, call, fn, req, function()
      return (proceed(call, below, req))
    end)
    call.has_ended = true
    if not ok then return rescue(req, result, "middleware", around) end
    if call.has_proceeded and not call.response then
      async.checkpoint() -- a cancellation that it has swallowed goes on
      local problem = "the middleware returned while proceed() was still running in another task"
      return rescue(req, problem, "middleware", around)
    end
    return result or call.response or response.new { status = NO_CONTENT }
  end
end

--- The function that handles a route's requests.
---@param handler function
---@param layers table middleware from the outermost on: { fn=, rescuers= }
---@param rescuers table the handler's error handlers, innermost first
---@param statuses table status -> what chain.of_status made
---@return function handler
function chain.compose(handler, layers, rescuers, statuses)
  local is_plain = #layers == 0 and #rescuers == 0 and not statuses[BUSY]
  if is_plain then return handler end
  local function around(fn, its_rescuers)
    return { rescuers = its_rescuers, statuses = statuses, is_blocking = native.is_marked(fn) }
  end
  if #layers == 0 then return around_only(handler, around(handler, rescuers)) end
  local run = around_handler(handler, around(handler, rescuers))
  for i = #layers, 1, -1 do
    local layer = layers[i]
    local its = around(layer.fn, layer.rescuers)
    run = (its.is_blocking and before or around_below)(layer.fn, run, its)
  end
  return run
end

--- What answers for the server with a status: fn, whose answers have that status where they name
--- no other. Gives nothing where the default answer is to be sent.
---@return function of_status fn(req, allow): `allow` is the methods of the path, for 405
function chain.of_status(status, fn)
  local what = ("on_status(%d)"):format(status)
  return function(req, allow)
    local result = ask(what, status, req, nil, fn, req)
    if result and allow and not has_header(result, "allow") then result.headers.Allow = allow end
    return result
  end
end

return chain
