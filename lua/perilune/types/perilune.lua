---@meta perilune
-- perilune.lua - definitions for the Lua language server: the module perilune and its objects.
--
-- Nothing loads this file; .luarc.json of `perilune new` names its directory.

---@class perilune
---@field null userdata JSON's null
---@field context table values that belong to the running task; what it starts gets a copy
---@field tasks perilune.Tasks those of the running request, else the app's
local perilune = {}

---@class perilune.AppOptions
---@field name string?
---@field pools table<string, { threads: integer?, queue: integer? }>?
---@field task_defaults perilune.TaskOptions?

---@param options perilune.AppOptions?
---@return perilune.App
function perilune.app(options) end

---@class perilune.SharedRouteOptions
---@field timeout number? seconds; then the handler is cancelled and the client gets 503
---@field max_body integer|string|nil bytes, or "20m"
---@field stream_body boolean? the handler starts before the body has come: req:chunks()
---@field cancel_on_disconnect boolean?
---@field middleware function[]?

---@class perilune.RouteOptions: perilune.SharedRouteOptions
---@field name string? for app:url

---@class perilune.RouterOptions: perilune.SharedRouteOptions
---@field prefix string?

--- Routes for a module of the app, to be mounted.
---@param options perilune.RouterOptions?
---@return perilune.Router
function perilune.router(options) end

--- Marks a function as blocking: wherever it is called from, it runs on the thread pool.
---@generic F: function
---@param options { pool: string?, timeout: number?, name: string? }
---@param fn F
---@return F
---@overload fun(fn: function): function
function perilune.blocking(options, fn) end

--- Marks a function for a background loop: wherever it is called from, it runs there.
---@param name string
---@param options { queue: integer?, timeout: number?, name: string? }
---@param fn function
---@return function
---@overload fun(name: string, fn: function): function
function perilune.background(name, options, fn) end

--- The handle of a background loop.
---@param name string
---@return perilune.Loop
function perilune.loop(name) end

---@class perilune.ResponseFields
---@field status integer?
---@field headers table<string, any>?
---@field body string?
---@field json any

---@param fields perilune.ResponseFields
---@return perilune.Response
function perilune.response(fields) end

---@param text string
---@return perilune.Response
function perilune.html(text) end

---@param url string
---@param status integer? 302; 303 after a POST
---@return perilune.Response
function perilune.redirect(url, status) end

--- Ends the handler from anywhere below it with {"detail": detail}.
---@param status integer
---@param detail string|table|nil
---@param headers table<string, any>?
function perilune.abort(status, detail, headers) end

---@class perilune.FileOptions
---@field status integer?
---@field headers table<string, any>?
---@field content_type string?
---@field download boolean|string|nil
---@field filename string?
---@field max_age integer?
---@field immutable boolean?
---@field root string? the path never leaves it

---@param path string relative to the app's directory, or to `root`
---@param options perilune.FileOptions?
---@return perilune.Response
function perilune.file(path, options) end

--- A response that a function writes; `write` waits while the client is slow.
---@param options { status: integer?, headers: table? }
---@param fn fun(write: fun(text: string))
---@return perilune.Response
---@overload fun(fn: fun(write: fun(text: string))): perilune.Response
function perilune.stream(options, fn) end

---@class perilune.Event
---@field data string|table|number|nil
---@field event string?
---@field id string|number|nil
---@field retry integer? milliseconds
---@field comment string?

--- A stream of server-sent events.
---@param options { headers: table?, keep_alive: number|false|nil }
---@param fn fun(send: fun(event: perilune.Event|string))
---@return perilune.Response
---@overload fun(fn: fun(send: fun(event: perilune.Event|string))): perilune.Response
function perilune.sse(options, fn) end

---@class perilune.Response
---@field status integer
---@field headers table<string, any>
---@field body string?
---@field error any what the handler raised, in middleware
---@field delivered boolean? after the response: false when the client had left
local Response = {}

---@class perilune.CookieOptions
---@field path string?
---@field domain string?
---@field max_age integer?
---@field expires number?
---@field secure boolean?
---@field http_only boolean?
---@field same_site "lax"|"strict"|"none"|nil
---@field secret string|string[]|nil signs the value: req:signed_cookie

--- Sets a cookie; without a value it is deleted.
---@param name string
---@param value string|number|nil
---@param options perilune.CookieOptions?
---@return perilune.Response
function Response:cookie(name, value, options) end

--- Sets a header, in place of one of that name.
---@param name string
---@param value any
---@return perilune.Response
function Response:header(name, value) end

--- Adds a header beside one of that name.
---@param name string
---@param value any
---@return perilune.Response
function Response:add_header(name, value) end

---@class perilune.Loop
---@field name string
local Loop = {}

--- Runs in the loop before its first call.
---@param fn function
function Loop:on_start(fn) end

--- Runs in the loop when it ends.
---@param fn function
function Loop:on_stop(fn) end

--- Cancels every call that the loop has.
function Loop:cancel_all() end

--- Ends the loop; does not wait for that.
function Loop:stop() end

return perilune
