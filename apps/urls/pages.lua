-- pages.lua - the HTML that is made by the server.
--
-- Everything that comes from outside goes through text().

local pages = {}

local ESCAPES = {
  ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;", ["'"] = "&#39;",
}

local function text(value) return (tostring(value):gsub("[&<>\"']", ESCAPES)) end

local ADMIN = [[
<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>urls</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem }
  td, th { padding: .2rem 1rem }
</style></head>
<body>
<h1>urls</h1>
<p>%d accounts, %d links, %d clicks</p>
<table><tr><th>code</th><th>account</th><th>to</th><th>clicks</th></tr>
%s
</table>
</body>
</html>
]]

local ROW = "<tr><td>%s</td><td>%s</td><td>%s</td><td>%d</td></tr>"

--- The page of totals and of the links with the most clicks.
function pages.admin(totals, links)
  local rows = {}
  for i, link in ipairs(links) do
    rows[i] = ROW:format(text(link.code), text(link.account), text(link.url), link.clicks)
  end
  return ADMIN:format(totals.accounts, totals.links, totals.clicks, table.concat(rows, "\n"))
end

return pages
