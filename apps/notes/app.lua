-- app.lua - notes with tags in a SQLite database.
--
-- Handlers ask the database as if it were right here; the loop never waits for it.

local perilune = require "perilune"
local read_inbox = require "inbox"
local sqlite = require "perilune.sqlite"

local app = perilune.app { name = "notes" }

local db = sqlite.open(app.settings.database) -- one database, whichever state opens it

db:migrate {
  "create table notes (id integer primary key, text text not null)",
  [[create table tags (note integer not null references notes (id) on delete cascade,
    name text not null, unique (note, name))]],
}

read_inbox(app, app.settings.inbox, function(text)
  db:exec("insert into notes (text) values (?)", text)
end)

local function check_note(note)
  if type(note) ~= "table" or type(note.text) ~= "string" then
    perilune.abort(422, "text is missing")
  end
  if type(note.tags or {}) ~= "table" then perilune.abort(422, "tags is a list") end
  return note.text, note.tags or {}
end

app:post("/notes", function(req)
  local text, tags = check_note(req:json())
  local id = db:transaction(function()
    local _, id = db:exec("insert into notes (text) values (?)", text)
    for _, tag in ipairs(tags) do
      db:exec("insert into tags values (:note, :name)", { note = id, name = tag })
    end
    return id
  end)
  return 201, { id = id }
end)

app:get("/notes/{id:int}", function(req)
  local note = db:row("select * from notes where id = ?", req.params.id)
  if not note then perilune.abort(404) end
  note.tags = db:query("select name from tags where note = ? order by name", note.id)
  return note
end)

app:delete("/notes/{id:int}", function(req)
  local changes = db:exec("delete from notes where id = ?", req.params.id)
  return changes == 1 and 204 or 404
end)

app:get("/tags/{name}", function(req)
  return db:query([[select notes.* from notes join tags on note = id
    where name = ? order by id]], req.params.name)
end)

app:get("/notes.txt", function()
  return perilune.stream(function(write)
    for note in db:rows "select text from notes order by id" do write(note.text .. "\n") end
  end)
end)

app:on_error("sqlite", function(_, err)
  if err.code == "SQLITE_CONSTRAINT_UNIQUE" then return 409, { detail = "a tag comes twice" } end
  error(err)
end)

return app
