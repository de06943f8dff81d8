-- peers.lua - the RFC table's bytes sent to Perilune, nginx and Node, and what each answers.
--
--   lua5.4 spec/bench/peers.lua          the rows on which they differ, as a Markdown table
--   lua5.4 spec/bench/peers.lua --all    every row
--
-- Peers are optional: what is not installed is left out, and said. The exit code is 1 where
-- Perilune takes what a peer refuses, unless peers/exceptions.lua gives the reason.

local root = arg[0]:match "^(.*)/spec/bench/[^/]+$" or "."
package.path = root .. "/spec/?.lua;" .. package.path

local exceptions = require "bench.peers.exceptions"
local servers = require "bench.peers.servers"
local socket = require "socket"

local TOPICS = { "line", "target", "fields", "framing", "connection" }
local BATCH = 40 -- rows that are on their way at once
local QUIET_S = 0.4 -- a batch is over when nothing has come for so long

local function load_rows()
  local rows = {}
  for _, topic in ipairs(TOPICS) do
    for _, row in ipairs(require("rfc9112." .. topic)) do
      rows[#rows + 1] = { section = row[1], name = ("%s: %s"):format(topic, row[2]),
        bytes = row[3], half_close = row.half_close, answers = {} }
    end
  end
  return rows
end

local function open(peer, row)
  local tcp = assert(socket.tcp4())
  tcp:settimeout(5)
  assert(tcp:connect("127.0.0.1", peer.port))
  tcp:send(row.bytes)
  if row.half_close then tcp:shutdown "send" end
  tcp:settimeout(0)
  return { tcp = tcp, row = row, peer = peer, input = {}, is_open = true }
end

--- Takes what there is; false at the end.
local function take(client)
  local all, why, part = client.tcp:receive(65536)
  table.insert(client.input, all or part)
  return why ~= "closed"
end

local function read_all(clients)
  local by_socket, waiting = {}, {}
  for _, client in ipairs(clients) do
    by_socket[client.tcp] = client
    waiting[#waiting + 1] = client.tcp
  end
  while #waiting > 0 do
    local ready = socket.select(waiting, nil, QUIET_S)
    if #ready == 0 then return end
    for _, tcp in ipairs(ready) do by_socket[tcp].is_open = take(by_socket[tcp]) end
    local still = {}
    for _, tcp in ipairs(waiting) do
      if by_socket[tcp].is_open then still[#still + 1] = tcp end
    end
    waiting = still
  end
end

--- The statuses as text, "-" for none, with "." behind them when the server has closed.
local function summarize(client)
  local statuses, refused = {}, false
  for status in table.concat(client.input):gmatch "HTTP/1%.[01] (%d%d%d)" do
    if status ~= "100" then statuses[#statuses + 1] = status end
    refused = refused or tonumber(status) >= 400
  end
  local text = #statuses > 0 and table.concat(statuses, " ") or "-"
  return { text = text .. (client.is_open and "" or "."), refused = refused or #statuses == 0,
    count = #statuses }
end

local function ask_all(rows, list)
  for first = 1, #rows, BATCH do
    local clients = {}
    for i = first, math.min(first + BATCH - 1, #rows) do
      for _, peer in ipairs(list) do clients[#clients + 1] = open(peer, rows[i]) end
    end
    read_all(clients)
    for _, client in ipairs(clients) do
      client.row.answers[client.peer.name] = summarize(client)
      client.tcp:close()
    end
  end
end

--- The names of the peers that refuse what Perilune takes.
local function stricter_peers(row, list)
  local ours, names = row.answers.Perilune, {}
  if ours.refused then return names end
  for i = 2, #list do
    local theirs = row.answers[list[i].name]
    if theirs.refused or theirs.count < ours.count then names[#names + 1] = list[i].name end
  end
  return names
end

local function differs(row, list)
  for i = 2, #list do
    if row.answers[list[i].name].refused ~= row.answers.Perilune.refused then return true end
  end
  return false
end

local function print_row(row, list, note)
  local cells = { row.section, row.name }
  for _, peer in ipairs(list) do cells[#cells + 1] = row.answers[peer.name].text end
  cells[#cells + 1] = note
  print("| " .. table.concat(cells, " | ") .. " |")
end

local function print_head(list)
  local names, rules = { "RFC", "row" }, {}
  for _, peer in ipairs(list) do names[#names + 1] = peer.name end
  names[#names + 1] = "note"
  for i = 1, #names do rules[i] = "---" end
  print("| " .. table.concat(names, " | ") .. " |")
  print("|" .. table.concat(rules, "|") .. "|")
end

--- Prints the table; how many rows Perilune is laxer on, and how many exceptions are idle.
local function report(rows, list, is_all)
  local laxer, used = 0, {}
  print_head(list)
  for _, row in ipairs(rows) do
    local stricter, reason = stricter_peers(row, list), exceptions[row.name]
    local note = ""
    if #stricter > 0 then
      used[row.name] = reason ~= nil
      note = reason or "LAXER than " .. table.concat(stricter, " and ")
      if not reason then laxer = laxer + 1 end
    end
    if is_all or differs(row, list) or note ~= "" then print_row(row, list, note) end
  end
  local idle = {}
  for name in pairs(exceptions) do
    if not used[name] then idle[#idle + 1] = name end
  end
  return laxer, idle
end

local rows = load_rows()
local list, missing = servers.start_all()
local ok, problem = xpcall(ask_all, debug.traceback, rows, list)
servers.stop_all(list)
if not ok then error(problem, 0) end
local laxer, idle = report(rows, list, arg[1] == "--all")
for _, name in ipairs(missing) do print(("%s is not installed: left out"):format(name)) end
if #missing == 0 then
  for _, name in ipairs(idle) do print("an exception without need: " .. name) end
end
print(("%d rows, %d on which Perilune is laxer than a peer"):format(#rows, laxer))
os.exit(laxer == 0)
