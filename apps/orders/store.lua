-- store.lua - the orders in their database.
--
-- All of SQL is here. Each function can be called from handlers, tasks and blocking functions.

local perilune = require "perilune"
local sqlite = require "perilune.sqlite"

local store = {}

local migrations = {
  [[CREATE TABLE items (name TEXT PRIMARY KEY, cents INTEGER NOT NULL, stock INTEGER NOT NULL
      CHECK (stock >= 0)) STRICT;
    INSERT INTO items VALUES ('tea', 450, 1000), ('coffee', 620, 1000), ('cup', 1200, 3);]],
  [[CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL REFERENCES items, quantity
      INTEGER NOT NULL CHECK (quantity > 0), email TEXT NOT NULL, note TEXT,
      state TEXT NOT NULL DEFAULT 'open', created INTEGER NOT NULL DEFAULT (unixepoch())) STRICT;
    CREATE INDEX orders_by_state ON orders (state, id);]],
}

local db

--- Opens the database, makes its directory's file where there is none, and brings it up to date.
function store.open(path)
  db = sqlite.open(path)
  return db
end

function store.migrate() db:migrate(migrations) end

--- Takes the items from the stock and writes the order, both or neither: its id.
function store.add(order)
  return db:transaction(function(tx)
    local stock = tx:value("SELECT stock FROM items WHERE name = ?", order.item)
    if not stock then perilune.abort(422, { item = "there is no such item" }) end
    if stock < order.quantity then perilune.abort(409, ("only %d are left"):format(stock)) end
    tx:exec("UPDATE items SET stock = stock - ? WHERE name = ?", order.quantity, order.item)
    local _, id = tx:exec([[INSERT INTO orders (item, quantity, email, note)
      VALUES (:item, :quantity, :email, :note)]], {
      item = order.item, quantity = order.quantity, email = order.email,
      note = order.note or perilune.null,
    })
    return id
  end)
end

local COLUMNS = [[orders.id, item, quantity, email, note, state, created, quantity * cents AS cents
  FROM orders JOIN items ON items.name = orders.item]]

function store.get(id)
  return db:row("SELECT " .. COLUMNS .. " WHERE orders.id = ?", id)
end

--- A page of orders, the newest first: those older than `before`, in a state if one is given.
function store.list(state, before, limit)
  return db:query("SELECT " .. COLUMNS .. [[ WHERE (?1 IS NULL OR state = ?1)
    AND orders.id < ?2 ORDER BY orders.id DESC LIMIT ?3]], state, before, limit)
end

function store.set_note(id, note)
  return db:exec("UPDATE orders SET note = ? WHERE id = ?", note, id) > 0
end

--- Goes from one state to another: false where it was in another state, or is not there.
function store.move(id, from, to)
  local sql = "UPDATE orders SET state = ? WHERE id = ? AND state = ?"
  return db:exec(sql, to, id, from) > 0
end

--- Removes an open order and puts its items back: false where it is not there, or not open.
function store.remove(id)
  return db:transaction(function(tx)
    local order = tx:row("SELECT item, quantity, state FROM orders WHERE id = ?", id)
    if not order or order.state ~= "open" then return false end
    tx:exec("DELETE FROM orders WHERE id = ?", id)
    tx:exec("UPDATE items SET stock = stock + ? WHERE name = ?", order.quantity, order.item)
    return true
  end)
end

return store
