-- migrate.lua - db:migrate(list): brings a database to the state that an app wants.
--
-- A migration is SQL or a function; its place in the list is its number. Those that have been
-- applied stand in the table perilune_migrations, with their SQL: changing one is an error, as is a
-- database that has more than the list. Each one runs in a transaction that looks again what has
-- been applied, so that any number of processes may do this at once.

local check = require "perilune.check"

local TABLE = [[create table if not exists perilune_migrations
  (number integer primary key, sql text, applied_at text not null)]]

local function check_list(list)
  local count = #list
  for key, migration in pairs(list) do
    if math.type(key) ~= "integer" or key < 1 or key > count then
      check.fail("db:migrate takes a list, but this one has the key %s", tostring(key))
    end
    local kind = type(migration)
    if kind ~= "string" and kind ~= "function" then
      check.fail("migration %d is SQL or a function, not a %s", key, kind)
    end
  end
end

--- What is stored of a migration: functions have no text that could be compared.
local function text_of(migration)
  return type(migration) == "string" and migration or nil
end

local function check_applied(list, applied)
  for _, row in ipairs(applied) do
    local migration = list[row.number]
    if migration == nil then
      check.fail("migration %d has been applied, but the list has only %d", row.number, #list)
    end
    if text_of(migration) ~= row.sql then
      check.fail("migration %d has been applied, and was changed since: add another one instead",
        row.number)
    end
  end
end

--- Applies the next migration; false when there is none.
local function apply_next(db, list)
  return db:transaction(function(tx)
    local applied = tx:query "select number, sql from perilune_migrations order by number"
    check_applied(list, applied)
    local number = #applied + 1
    local migration = list[number]
    if migration == nil then return false end
    if type(migration) == "string" then
      tx:exec(migration)
    else
      migration(tx)
    end
    tx:exec("insert into perilune_migrations values (?, ?, datetime('now'))", number,
      text_of(migration))
    return true
  end)
end

--- The number of migrations that this call has applied.
return function(db, list)
  check_list(list)
  db:exec(TABLE)
  local count = 0
  while apply_next(db, list) do count = count + 1 end
  return count
end
