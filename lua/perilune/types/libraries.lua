---@meta perilune.libraries
-- libraries.lua - definitions for the Lua language server: JSON, log, crypto, processes, context.
--
-- Nothing loads this file: each module is declared in one of its own, which names a class here.

---@class perilune.json
---@field null userdata
local json = {}

---@param value any
---@param options table?
---@return string
function json.encode(value, options) end

---@param text string
---@param options { null: boolean? }?
---@return any
function json.decode(text, options) end

--- Marks a table as an array, also an empty one.
---@param list table
---@return table
function json.array(list) end

---@class perilune.log
local log = {}

---@param message string
---@param fields table<string, any>?
function log.debug(message, fields) end

---@param message string
---@param fields table<string, any>?
function log.info(message, fields) end

---@param message string
---@param fields table<string, any>?
function log.warn(message, fields) end

---@param message string
---@param fields table<string, any>?
function log.error(message, fields) end

---@class perilune.crypto
local crypto = {}

---@alias perilune.crypto.Options { encoding: "hex"|"base64"|"raw"|string|nil }

---@param algorithm string "sha256"
---@param data string
---@param options perilune.crypto.Options? hex unless told
---@return string
function crypto.hash(algorithm, data, options) end

---@param algorithm string
---@param key string
---@param data string
---@param options perilune.crypto.Options? hex unless told
---@return string
function crypto.hmac(algorithm, key, data, options) end

---@class perilune.crypto.Hasher
local Hasher = {}

---@param data string
---@return perilune.crypto.Hasher
function Hasher:update(data) end

--- Once.
---@param options perilune.crypto.Options?
---@return string
function Hasher:digest(options) end

--- For what comes in pieces.
---@param algorithm string
---@return perilune.crypto.Hasher
function crypto.hasher(algorithm) end

---@param bytes integer
---@param options perilune.crypto.Options? as they are unless told
---@return string
function crypto.random(bytes, options) end

---@return string
function crypto.uuid() end

---@param data string
---@param options table?
---@return string
function crypto.base64(data, options) end

---@param text string
---@param options table?
---@return string
function crypto.base64_decode(text, options) end

---@param data string
---@return string
function crypto.hex(data) end

---@param text string
---@return string
function crypto.hex_decode(text) end

--- In constant time.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---@param password string
---@param options { ln: integer?, r: integer?, p: integer? }?
---@return string
function crypto.password_hash(password, options) end

---@param password string
---@param hash string
---@return boolean
function crypto.password_verify(password, hash) end

---@class perilune.process
local process = {}

---@class perilune.process.Command
---@field [integer] string
---@field stdin any
---@field timeout number?
---@field check boolean? raise when it fails

---@class perilune.process.Result
---@field code integer?
---@field signal string?
---@field stdout string
---@field stderr string

---@param command perilune.process.Command
---@return perilune.process.Result
function process.run(command) end
