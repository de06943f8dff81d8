---@meta perilune.async
-- async.lua - definitions for the Lua language server: the module perilune.async.
--
-- Nothing loads this file.

---@class perilune.async
local async = {}

---@param seconds number
function async.sleep(seconds) end

--- Monotonic seconds.
---@return number
function async.now() end

--- Lets others run, notices cancellation.
function async.checkpoint() end

---@param fn function
---@param ... any
---@return perilune.Task
function async.spawn(fn, ...) end

--- Runs several at once: the first result of each, or a table with the same keys; the first error
--- cancels the others.
---@param ... function|perilune.Task|table
---@return any ...
function async.gather(...) end

--- As gather; gives { ok=true, value= } or { ok=false, error= } of each.
---@param ... function|perilune.Task|table
---@return table
function async.settle(...) end

--- Index and results of the first to end; the others are cancelled.
---@param ... function|perilune.Task|table
---@return integer index
---@return any ...
function async.race(...) end

--- Index and results of the first to succeed; the others are cancelled.
---@param ... function|perilune.Task|table
---@return integer index
---@return any ...
function async.any(...) end

--- fn(item) for each, at most `limit` at a time.
---@generic T
---@param list T[]
---@param fn fun(item: T): any
---@param options { limit: integer? }?
---@return table results in order, with n
function async.map(list, fn, options) end

---@class perilune.async.Group
local Group = {}

---@param fn function
---@param ... any
---@return perilune.Task
function Group:spawn(fn, ...) end

--- Returns when every child has ended; the first error cancels the rest.
---@param fn fun(group: perilune.async.Group): any
---@return any ...
function async.group(fn) end

--- Raises kind "timeout" when fn has not ended in time.
---@param seconds number
---@param fn function
---@param ... any
---@return any ...
function async.timeout(seconds, fn, ...) end

--- Not reached by cancellation from outside.
---@param fn function
---@param ... any
---@return any ...
function async.shield(fn, ...) end

---@class perilune.async.Semaphore
local Semaphore = {}
function Semaphore:acquire() end
function Semaphore:release() end
---@param fn function
---@param ... any
---@return any ...
function Semaphore:with(fn, ...) end

---@param count integer
---@return perilune.async.Semaphore
function async.semaphore(count) end

---@class perilune.async.Mutex
local Mutex = {}

--- `local guard <close> = m:lock()`
---@return table guard
function Mutex:lock() end

---@return perilune.async.Mutex
function async.mutex() end

---@class perilune.async.Event
local Event = {}
function Event:set() end
function Event:clear() end
---@return boolean
function Event:is_set() end
---@param timeout number?
function Event:wait(timeout) end

---@return perilune.async.Event
function async.event() end

---@class perilune.async.Channel
local Channel = {}
---@param value any
function Channel:send(value) end
---@param timeout number?
---@return any value nil once it is closed and empty
function Channel:receive(timeout) end
function Channel:close() end
---@return fun(): any
function Channel:each() end

---@param capacity integer
---@return perilune.async.Channel
function async.channel(capacity) end

--- Runs any function on the thread pool and waits for its result.
---@param options { pool: string?, timeout: number? }
---@param fn function
---@param ... any
---@return any ...
---@overload fun(fn: function, ...): ...
function async.run_blocking(options, fn, ...) end

--- What is alive: id, name, age, state, what it waits for, source line.
---@return table[]
function async.running() end

return async
