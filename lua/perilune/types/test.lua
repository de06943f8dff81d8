---@meta perilune.test
-- test.lua - definitions for the Lua language server: the module perilune.test.
--
-- Nothing loads this file.

---@class perilune.test
local test = {}

---@class perilune.test.Options
---@field clock "real"|"virtual"|"auto"|nil
---@field settings table<string, any>?
---@field env table<string, string>?
---@field dir boolean? a temporary working copy
---@field stall_limit number? seconds
---@field checks boolean|perilune.test.Checks|nil what is looked at after each spec

--- What is not wanted is false.
---@class perilune.test.Checks
---@field stalls boolean? the event loop was held
---@field tasks boolean? a task was left running, or waits for time
---@field files boolean? of perilune.fs and io
---@field watches boolean? of fs.watch
---@field databases boolean?
---@field subscriptions boolean? of topics
---@field streams boolean? responses of perilune.http that are read bit by bit
---@field calls boolean? in pools
---@field errors boolean? of tasks, that nobody has looked at

--- Serves an app (default: the one under test) on a free port of this process.
---@param app_or_dir perilune.App|string|perilune.test.Options|nil
---@param options perilune.test.Options?
---@return perilune.test.Client
function test.client(app_or_dir, options) end

--- A stand-in for a task function.
---@param client perilune.test.Client
---@param name_or_fn string|function
---@param fn function
function test.replace(client, name_or_fn, fn) end

---@class perilune.test.Client: perilune.http.Client
---@field app perilune.App
---@field url string
---@field port integer
---@field scheduled table[] every task scheduled, in order
---@field clock { advance: fun(self: table, seconds: number), now: fun(self: table): number }?
local Client = {}

---@class perilune.test.Totals
---@field scheduled integer done + failed + cancelled + dropped + unfinished
---@field done integer
---@field failed integer
---@field cancelled integer
---@field dropped integer
---@field unfinished integer
---@field shielded integer those that were waited for
---@field shielded_waited_s number
---@field cancelled_at string "1 x NAME at FILE:LINE, ..."
---@field exit_code integer
---@field problem string? what was wrong with on_stop

--- Until every task has ended; a failed one fails the spec.
---@param timeout number?
function Client:finish_tasks(timeout) end

---@param path string
---@param options table?
---@return fun(): table
function Client:events(path, options) end

--- What SIGTERM does to a server; the client is closed then.
---@param options { drain_timeout: number?, shutdown_timeout: number? }?
---@return perilune.test.Totals totals
---@return integer exit_code
function Client:shutdown(options) end

function Client:close() end

return test
