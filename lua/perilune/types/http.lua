---@meta perilune.http
-- http.lua - definitions for the Lua language server: the module perilune.http.
--
-- Nothing loads this file.

---@class perilune.http
local http = {}

---@class perilune.http.Options
---@field headers table<string, any>?
---@field query table<string, any>?
---@field json any
---@field form table<string, any>?
---@field body any
---@field multipart table?
---@field timeout number? 30
---@field connect_timeout number? 10
---@field follow_redirects boolean|integer|nil
---@field retries integer|table|nil
---@field stream boolean?
---@field verify boolean?

---@class perilune.http.Request: perilune.http.Options
---@field url string
---@field method string?

---@class perilune.http.Response
---@field status integer
---@field headers table<string, string>
---@field body string
---@field url string
---@field elapsed number
local Response = {}

---@return any
function Response:json() end

---@param name string
---@return string[]
function Response:header_all(name) end

--- Raises kind "http" for a status of 400 or more.
---@return perilune.http.Response
function Response:raise_for_status() end

---@return fun(): string?
function Response:chunks() end

function Response:close() end

---@class perilune.http.Client
local Client = {}

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.get(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:get(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.post(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:post(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.put(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:put(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.patch(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:patch(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.delete(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:delete(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.head(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:head(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function http.options(url, options) end

---@param url string
---@param options perilune.http.Options?
---@return perilune.http.Response
function Client:options(url, options) end

---@param request perilune.http.Request
---@return perilune.http.Response
function http.request(request) end

---@param request perilune.http.Request
---@return perilune.http.Response
function Client:request(request) end

--- The functions of this module as methods, with defaults.
---@param options perilune.http.Options base_url too
---@return perilune.http.Client
function http.client(options) end

return http
