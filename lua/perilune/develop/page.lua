-- page.lua - what `perilune dev` answers for errors: message, lines around, traceback, request.
--
-- As HTML for who accepts it, else as JSON. Everything that is shown is escaped: messages quote
-- what came with the request.

local develop = require "perilune.native.develop"
local hint = require "perilune.hint"
local response = require "perilune.response"

local page = {}

local LINES_AROUND = 5
local HEADERS = { ["Cache-Control"] = "no-store" }

local escapes = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }

local function escape(text)
  return (tostring(text):gsub('[&<>"]', escapes))
end

--- The first place in a text that is a line of the app: path, line, and the file's text.
local function find_place(text)
  for path, line in text:gmatch "([^%s:'\"<>]+%.lua):(%d+)" do
    local source = develop.source(path)
    if source then return path, math.tointeger(tonumber(line)), source end
  end
end

local function excerpt(text)
  local path, line, source = find_place(text)
  if not path then return "" end
  local shown, number = {}, 0
  for each in (source .. "\n"):gmatch "([^\n]*)\n" do
    number = number + 1
    if number >= line - LINES_AROUND and number <= line + LINES_AROUND then
      local row = ("%5d  %s"):format(number, escape(each))
      shown[#shown + 1] = number == line and "<mark>" .. row .. "</mark>" or row
    end
  end
  return ("<h2>%s:%d</h2>\n<pre class=\"source\">%s</pre>\n"):format(escape(path), line,
    table.concat(shown, "\n"))
end

local function describe(req)
  local rows = { ("%s %s"):format(req.method, req.target) }
  local names = {}
  for name in pairs(req.headers) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    rows[#rows + 1] = ("%s: %s"):format(name, tostring(req.headers[name]))
  end
  return escape(table.concat(rows, "\n"))
end

local template = [[
<!doctype html>
<html><head><meta charset="utf-8"><title>TITLE</title><style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }
h1 { font-size: 1.2em; color: #b91c1c } h2 { font-size: 1em; margin-bottom: .3em }
pre { background: #f4f4f5; padding: .8em; overflow: auto; white-space: pre-wrap }
mark { background: #fecaca; display: inline-block; width: 100% }
</style></head><body>
<h1>TITLE</h1>
<pre class="error">ERROR</pre>
REST<h2>Request</h2>
<pre class="request">REQUEST</pre>
</body></html>
]]

local function accepts_html(req)
  local accept = req.headers["accept"]
  return accept ~= nil and accept:find("text/html", 1, true) ~= nil
end

local function fill(values)
  return (template:gsub("%u%u%u%u%u*", values))
end

--- The answer for an error of a handler.
---@param req table
---@param text string the error
---@param traceback string|nil
---@return table response
function page.error(req, text, traceback)
  text, traceback = hint(text), traceback or ""
  if not accepts_html(req) then
    return response.new { status = 500, headers = HEADERS,
      json = { detail = "Internal Server Error", error = text, traceback = traceback } }
  end
  local rest = excerpt(text .. "\n" .. traceback) .. "<h2>Traceback</h2>\n<pre class=\"traceback\">"
    .. escape(traceback) .. "</pre>\n"
  local html = response.html(fill { TITLE = "The handler failed", ERROR = escape(text), REST = rest,
    REQUEST = describe(req) })
  html.status, html.headers["Cache-Control"] = 500, HEADERS["Cache-Control"]
  return html
end

--- The answer for everything while there is no version of the app that loads.
---@param req table
---@param text string why
---@return table response
function page.load_error(req, text)
  if not accepts_html(req) then
    return response.new { status = 500, headers = HEADERS,
      json = { detail = "The app does not load", error = text } }
  end
  local html = response.html(fill { TITLE = "The app does not load", ERROR = escape(text),
    REST = excerpt(text), REQUEST = describe(req) })
  html.status, html.headers["Cache-Control"] = 500, HEADERS["Cache-Control"]
  return html
end

return page
