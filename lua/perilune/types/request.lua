---@meta perilune.request
-- request.lua - definitions for the Lua language server: `req` as a handler sees it, and tasks.
--
-- Nothing loads this file.

---@class perilune.Request
---@field method string
---@field path string decoded
---@field target string as it was sent
---@field version string
---@field scheme string
---@field host string
---@field url string
---@field params table<string, any>
---@field query table<string, string> the first value of each name
---@field headers table<string, string> in any case
---@field cookies table<string, string>
---@field body string
---@field remote_addr string
---@field id string
---@field tasks perilune.Tasks
---@field context table
---@field route string
local Request = {}

--- All values of a name in the query.
---@param name string
---@return string[]
function Request:query_all(name) end

--- All fields of a name.
---@param name string
---@return string[]
function Request:header_all(name) end

--- The body as JSON; 400 when it is none.
---@param options { null: boolean? }?
---@return any
function Request:json(options) end

--- The body as a form: the first value of each name.
---@return table<string, string>
function Request:form() end

---@param name string
---@return string[]
function Request:form_all(name) end

---@param name string
---@return perilune.Upload?
function Request:file(name) end

---@return perilune.Upload[]
function Request:files() end

--- The body as it comes, on routes with stream_body.
---@return fun(): string?
function Request:chunks() end

---@return boolean
function Request:is_disconnected() end

--- A value made once per request and closed at its end.
---@generic T
---@param key any
---@param fn fun(): T
---@param close fun(value: T)?
---@return T
function Request:once(key, fn, close) end

--- The value of a signed cookie, nil when somebody changed it.
---@param name string
---@param secret string|string[]
---@return string?
function Request:signed_cookie(name, secret) end

---@class perilune.Upload
---@field name string
---@field filename string? base name only
---@field content_type string?
---@field size integer
---@field path string?
local Upload = {}

---@return string
function Upload:read() end

---@param path string
function Upload:save(path) end

---@class perilune.TaskOptions
---@field name string?
---@field shield boolean? the end of the server waits for it
---@field delay number?
---@field timeout number? seconds for each attempt
---@field retries integer?
---@field retry_on fun(err: any): boolean|string[]|nil
---@field backoff { initial: number?, factor: number?, max: number?, jitter: boolean? }?
---@field on_error function|table<string, function>|false|nil
---@field on_cancel function|false|nil
---@field outcome "success"|"failure"|"any"|nil

---@class perilune.TaskDefinition
local TaskDefinition = {}

---@param fn function
---@param ... any
---@return perilune.Task
function TaskDefinition:schedule(fn, ...) end

---@class perilune.Scheduler: perilune.TaskDefinition
local Scheduler = {}

--- A definition with options, which can schedule many.
---@param options perilune.TaskOptions
---@return perilune.TaskDefinition
function Scheduler:task(options) end

---@class perilune.Tasks: perilune.Scheduler
---@field after_route perilune.Scheduler
---@field after_response perilune.Scheduler
local Tasks = {}

--- A task by its id, from any state, until 300 s after its end.
---@param id string
---@return perilune.Task?
function Tasks:find(id) end

---@class perilune.Task
---@field id string
---@field name string
---@field fn function
---@field args table with n
---@field config perilune.TaskOptions
---@field status "waiting"|"running"|"done"|"failed"|"cancelled"
---@field results table? with n
---@field error any
---@field traceback string?
---@field attempt integer
---@field late boolean
---@field response perilune.Response?
---@field started perilune.async.Event
---@field progress any
local Task = {}

--- Waits for its end: its results, or its error raised.
---@param timeout number?
---@return any ...
function Task:wait(timeout) end

---@param reason string?
function Task:cancel(reason) end

--- Runs its function once more with its arguments.
---@return any ...
function Task:call() end
