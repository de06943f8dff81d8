---@meta perilune.app
-- app.lua - definitions for the Lua language server: apps, routers, groups.
--
-- Nothing loads this file.

---@alias perilune.Result string|table|integer|perilune.Response|nil
---@alias perilune.Handler fun(req: perilune.Request): perilune.Result, any, table?
---@alias perilune.Proceed fun(): perilune.Response

--- What records routes: apps, routers, groups.
---@class perilune.Recorder
local Recorder = {}

--- A route for each of the methods.
---@param methods string|string[]
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, methods: any, path: string, handler: perilune.Handler)
function Recorder:route(methods, path, options, handler) end

--- Middleware for every route.
---@param fn fun(req: perilune.Request, proceed: perilune.Proceed): any
function Recorder:use(fn) end

--- Answers for errors of a kind, or of all.
---@param kind string
---@param fn fun(req: perilune.Request, err: any): any
---@overload fun(self: perilune.Recorder, fn: fun(req: perilune.Request, err: any): any)
function Recorder:on_error(kind, fn) end

--- Routes below a prefix.
---@param prefix string
---@param options perilune.SharedRouteOptions
---@param fn fun(group: perilune.Recorder)
---@overload fun(self: perilune.Recorder, prefix: string, fn: fun(group: perilune.Recorder))
function Recorder:group(prefix, options, fn) end

--- The routes of a router or another app, below a prefix.
---@param prefix string
---@param options perilune.RouteOptions
---@param mounted perilune.Recorder
---@overload fun(self: perilune.Recorder, prefix: string, mounted: perilune.Recorder)
function Recorder:mount(prefix, options, mounted) end

--- A route for GET.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:get(path, options, handler) end

--- A route for POST.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:post(path, options, handler) end

--- A route for PUT.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:put(path, options, handler) end

--- A route for PATCH.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:patch(path, options, handler) end

--- A route for DELETE.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:delete(path, options, handler) end

--- A route for HEAD.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:head(path, options, handler) end

--- A route for OPTIONS.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:options(path, options, handler) end

--- A route for every method.
---@param path string "/users/{id:int}"
---@param options perilune.RouteOptions
---@param handler perilune.Handler
---@overload fun(self: perilune.Recorder, path: string, handler: perilune.Handler)
function Recorder:any(path, options, handler) end

---@class perilune.Router: perilune.Recorder

---@class perilune.App: perilune.Recorder
---@field name string?
---@field dir string its directory, absolute
---@field settings table<string, any> of conf.lua, with the environment over it
---@field tasks perilune.Tasks those that belong to no request
local App = {}

--- Once per process, before the first connection is accepted.
---@param fn function
function App:on_start(fn) end

--- Once per process, after the last task.
---@param fn function
function App:on_stop(fn) end

--- Once in each HTTP worker.
---@param fn function
function App:on_worker(fn) end

--- Once in every Lua state.
---@param fn fun(state: { role: "http"|"pool"|"background", name: string, index: integer })
function App:on_state(fn) end

--- Again and again, once per process, never two at a time.
---@param seconds number
---@param fn function
function App:every(seconds, fn) end

--- Answers instead of the server: 404, 405, 413, 503, ...
---@param status integer
---@param fn perilune.Handler
function App:on_status(status, fn) end

--- The URL of the route with a name.
---@param name string
---@param params table<string, any>?
---@param query table<string, any>?
---@return string
function App:url(name, params, query) end

--- Adds headers to every response.
---@param headers table<string, any>
function App:headers(headers) end

---@class perilune.CorsOptions
---@field origins string|string[]
---@field methods string|string[]|nil
---@field headers string|string[]|nil
---@field expose string|string[]|nil
---@field credentials boolean?
---@field max_age integer?

--- Says which other origins' pages may use the app.
---@param options perilune.CorsOptions
function App:cors(options) end

--- Serves the files of a directory below a path, behind the routes.
---@param prefix string
---@param dir string
---@param options { headers: table?, max_age: integer?, immutable: boolean?, dotfiles: boolean? }?
function App:static(prefix, dir, options) end
