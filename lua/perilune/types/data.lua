---@meta perilune.data
-- data.lua - definitions for the Lua language server: files, databases, shared tables, topics.
--
-- Nothing loads this file: each module is declared in one of its own, which names a class here.

---@class perilune.fs
local fs = {}

---@param path string
---@param options table?
---@return string
function fs.read(path, options) end

---@param path string
---@param data string
---@param options table?
function fs.write(path, data, options) end

---@param path string
---@param data string
function fs.append(path, data) end

---@param path string
---@return boolean
function fs.exists(path) end

---@param path string
---@param options table?
---@return table
function fs.stat(path, options) end

---@param path string
---@param options table?
---@return table[]
function fs.list(path, options) end

---@param path string
---@param options table?
---@return fun(): any
function fs.each(path, options) end

---@param path string
---@param options table?
function fs.mkdir(path, options) end

---@param path string
---@param options table?
function fs.remove(path, options) end

---@param from string
---@param to string
function fs.rename(from, to) end

---@param from string
---@param to string
---@param options table?
function fs.copy(from, to, options) end

---@param path string
---@param mode string?
---@return perilune.fs.File
function fs.open(path, mode) end

---@param options table?
---@return perilune.fs.File
function fs.tempfile(options) end

---@param path string
---@param options { recursive: boolean? }?
---@return fun(): table
function fs.watch(path, options) end

---@class perilune.fs.File
local File = {}
---@return string?
function File:read(...) end
---@return fun(): string?
function File:lines(...) end
---@return fun(): string?
function File:chunks(...) end
---@param data string
function File:write(data) end
function File:sync() end
---@return integer
function File:seek(...) end
---@param size integer
function File:truncate(size) end
---@return integer
function File:size() end
function File:close() end

---@class perilune.sqlite
local sqlite = {}

---@param path string ":memory:" is one database per handle
---@param options table?
---@return perilune.sqlite.Database
function sqlite.open(path, options) end

---@param data string
---@return userdata
function sqlite.blob(data) end

---@class perilune.sqlite.Statements
local Statements = {}

--- All rows, as tables by column name.
---@param sql string
---@param ... any parameters: for each ?, or one table for :name
---@return table[]
function Statements:query(sql, ...) end

--- The first row, or nil.
---@param sql string
---@param ... any
---@return table?
function Statements:row(sql, ...) end

--- The first column of the first row.
---@param sql string
---@param ... any
---@return any
function Statements:value(sql, ...) end

---@param sql string
---@param ... any
---@return integer changes
---@return integer last_insert_id
function Statements:exec(sql, ...) end

---@param sql string
---@param ... any
---@return fun(): table?
function Statements:rows(sql, ...) end

--- Rolled back on an error or cancellation; a nested one is a savepoint.
---@param fn fun(tx: perilune.sqlite.Statements): any
---@return any ...
function Statements:transaction(fn) end

---@class perilune.sqlite.Database: perilune.sqlite.Statements
local Database = {}

---@param migrations table[]
function Database:migrate(migrations) end

function Database:close() end

---@class perilune.Shared
local Shared = {}

---@param key string
---@return any
function Shared:get(key) end

---@param key string
---@param value any
---@param ttl number?
function Shared:set(key, value, ttl) end

--- Sets a key that is not there; whether it was so.
---@param key string
---@param value any
---@param ttl number?
---@return boolean
function Shared:add(key, value, ttl) end

---@param key string
---@param by number?
---@param ttl_if_new number?
---@return number
function Shared:incr(key, by, ttl_if_new) end

---@param key string
---@param fn fun(value: any): any
---@return any
function Shared:update(key, fn) end

---@param key string
function Shared:delete(key) end

---@param key string
---@return number?
function Shared:ttl(key) end

---@return string[]
function Shared:keys(...) end

---@param key string
---@param timeout number?
---@return any
function Shared:wait(key, timeout) end

---@class perilune.Topic
local Topic = {}

---@param value any
function Topic:publish(value) end

---@param options { buffer: integer?, overflow: "drop_oldest"|"close"|nil }?
---@return fun(): any
function Topic:subscribe(options) end
