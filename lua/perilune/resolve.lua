-- resolve.lua - from what an app and all that is mounted in it recorded to one list of routes.
--
-- Runs once, when app.lua has loaded. Each route gets its whole pattern, its handler with the
-- middleware and error handlers around it (chain.lua), and what it inherits of its groups. Names
-- and pools are gathered, two of one name are an error that names both places; so are hooks.

local chain = require "perilune.chain"
local hooks = require "perilune.hooks"
local route_options = require "perilune.route_options"
local static = require "perilune.static"

local resolve = {}

local function join(prefix, path)
  if path ~= "" and path ~= "/" then return prefix .. path end
  return prefix == "" and "/" or prefix
end

--- Middleware with the error handlers that are around it.
local function add_layers(layers, middleware, rescuers)
  for _, fn in ipairs(middleware) do layers[#layers + 1] = { fn = fn, rescuers = rescuers } end
end

--- The error handlers of a recorder before those around it: a list, innermost first.
local function add_rescuers(recorder, outer)
  local own = recorder.rescuers
  if own.any == nil and next(own.by_kind) == nil then return outer end
  return { own, table.unpack(outer) }
end

--- What holds for the routes of a recorder at a place.
local function enter(recorder, part, outer)
  local layers = table.move(outer.layers, 1, #outer.layers, 1, {})
  add_layers(layers, part.options.middleware, outer.rescuers)
  local rescuers = add_rescuers(recorder, outer.rescuers)
  add_layers(layers, recorder.middleware, rescuers)
  local scopes = outer.scopes
  local name_prefix = outer.name_prefix
  if part.kind == "mount" then
    if part.options.name then name_prefix = name_prefix .. part.options.name .. "." end
    scopes = table.move(scopes, 1, #scopes, 1, {})
    scopes[#scopes + 1] = { recorder = recorder, skip = #name_prefix }
  end
  return {
    prefix = outer.prefix .. part.prefix .. (recorder.prefix or ""),
    layers = layers, rescuers = rescuers, scopes = scopes, name_prefix = name_prefix,
    inherited = route_options.inherit(route_options.inherit(outer.inherited, part.options),
      recorder.shared),
    trail = part.kind == "mount" and (", mounted at %s"):format(part.source) .. outer.trail
      or outer.trail,
    around = { recorder = recorder, outer = outer.around },
  }
end

--- A name is known in the app and in each router or app that it is mounted by, as it is seen there.
local function add_name(route, name, place)
  local full = place.name_prefix .. name
  for i, scope in ipairs(place.scopes) do
    local names = scope.recorder.names
    local seen = full:sub(scope.skip + 1)
    local other = names[seen]
    if other and i == 1 then
      error(("%s: the name %q is that of a route already, at %s"):format(route.source, full,
        other.source), 0)
    end
    names[seen] = other and { pattern = route.pattern, other = other.pattern } or route
  end
end

local function add_route(result, part, place)
  local layers = table.move(place.layers, 1, #place.layers, 1, {})
  add_layers(layers, part.options.middleware, place.rescuers)
  local handler = chain.compose(part.handler, layers, place.rescuers, result.statuses)
  local inherited = route_options.inherit(place.inherited, part.options)
  for i, method in ipairs(part.methods) do
    local route = {
      method = method, pattern = join(place.prefix, part.path), handler = handler,
      line = part.source, source = part.source .. place.trail, name = part.options.name
        and place.name_prefix .. part.options.name, where = part.where,
      timeout_ms = inherited.timeout_ms, body_bytes_max = inherited.body_bytes_max,
      stream_body = inherited.stream_body, cancel_on_disconnect = inherited.cancel_on_disconnect,
    }
    result.routes[#result.routes + 1] = route
    if i == 1 and part.options.name then add_name(route, part.options.name, place) end
  end
end

local function check_no_circle(recorder, part, place)
  local around = place.around
  while around do
    if around.recorder == recorder then
      error(("%s: a router or app cannot be mounted inside itself"):format(part.source), 0)
    end
    around = around.outer
  end
end

local function note_recorder(result, recorder)
  if result.seen[recorder] then return end
  result.seen[recorder] = true
  result.recorders[#result.recorders + 1] = recorder
  recorder.names = {}
end

local function walk(result, recorder, place)
  note_recorder(result, recorder)
  for _, part in ipairs(recorder.parts) do
    if part.kind == "route" then
      add_route(result, part, place)
    elseif part.kind == "static" then
      static.place(result.statics, part, place.prefix)
    else
      check_no_circle(part.recorder, part, place)
      note_recorder(result, part.recorder)
      walk(result, part.recorder, enter(part.recorder, part, place))
    end
  end
end

--- The pools of all apps, by name.
local function merge_pools(recorders)
  local pools, sources = {}, {}
  for _, recorder in ipairs(recorders) do
    for name, pool in pairs(recorder.pools or {}) do
      if sources[name] then
        error(("%s: the pool %q is defined already, by the app at %s"):format(recorder.source,
          tostring(name), sources[name]), 0)
      end
      pools[name], sources[name] = pool, recorder.source
    end
  end
  return pools
end

--- Gives a loaded app its fields `routes`, `statics`, `pools`, `apps` (itself, then those that are
--- mounted in it) and `all_hooks`, which are theirs.
---@param app table
---@param statuses table status -> composed handler of on_status
function resolve.app(app, statuses)
  local result = { routes = {}, statics = {}, recorders = {}, seen = {}, statuses = statuses }
  local top = { kind = "mount", prefix = "", options = { middleware = {} } }
  local outside = {
    prefix = "", layers = {}, rescuers = {}, scopes = {}, name_prefix = "", trail = "",
  }
  note_recorder(result, app)
  local place = enter(app, top, outside)
  place.trail = ""
  walk(result, app, place)
  app.statics = result.statics
  app.routes, app.pools, app.apps = result.routes, merge_pools(result.recorders), {}
  for _, recorder in ipairs(result.recorders) do
    recorder.is_loaded = true
    if recorder.dir then
      app.apps[#app.apps + 1] = recorder
      recorder.tasks = app.tasks -- what is mounted shares the defaults for tasks, too
    end
  end
  app.all_hooks = hooks.gather(app.apps)
end

return resolve
