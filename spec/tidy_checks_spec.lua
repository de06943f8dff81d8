-- tidy_checks_spec.lua - the checks of support/tidy.lua can complain, and do so at the right line.
--
-- A check that cannot fail is a defect: each is given texts that break its rule, and texts that
-- come as near to it as may be. The samples are strings; nothing is read from the tree. Words that
-- a rule would find in this very file are put together from halves.

local source = require "support.source"
local tidy = require "support.tidy"

local function expect_none(check, path, text)
  assert.same({}, check(source.new(path, text)))
end

--- One complaint, at that line, with those words in it.
local function expect_one(check, path, text, line, words)
  local found = check(source.new(path, text))
  assert.equal(1, #found, table.concat(found, "\n"))
  local place = ("%s:%d: "):format(path, line)
  assert.equal(place, found[1]:sub(1, #place))
  assert.is_truthy(found[1]:find(words, 1, true), found[1])
end

local function files(texts)
  local list = {}
  for path, text in pairs(texts) do list[#list + 1] = source.new(path, text) end
  return list
end

local function c_function(lines)
  return "int f(void)\n{\n" .. ("  g();\n"):rep(lines - 3) .. "}\n"
end

local function lua_function(lines)
  return "local function f()\n" .. ("  g()\n"):rep(lines - 2) .. "end\n"
end

describe("what is checked of every file:", function()
  it("its head", function()
    expect_none(tidy.head, "src/a.c", "/* a.c - x\n *\n * y\n */\nint f(void);\n")
    expect_none(tidy.head, "lua/a.lua", "-- a.lua\n--\n-- b\nlocal x\n")
    expect_none(tidy.head, "spec/a.lua", "#!/usr/bin/lua\n-- a.lua\n--\n-- b\nlocal x\n")
    expect_one(tidy.head, "src/a.c", "/* a.c - x\n * y */\nint f(void);\n", 1, "2 lines")
    expect_one(tidy.head, "src/a.c", "/* a.c - x\n * y\n */\nint f(void);\n", 1, "2 lines")
    expect_one(tidy.head, "src/a.c", "int f(void);\n/* a\n b\n c */\n", 1, "0 lines")
    expect_one(tidy.head, "src/a.c", "/* a" .. ("\n"):rep(10) .. "b */\n", 1, "11 lines")
    expect_one(tidy.head, "lua/a.lua", "-- a.lua\n\n-- b\n-- c\n", 1, "1 lines")
    expect_one(tidy.head, "lua/a.lua", ("-- a\n"):rep(11), 1, "11 lines")
    expect_one(tidy.head, "lua/a.lua", "", 1, "0 lines")
  end)

  it("its size", function()
    expect_none(tidy.size, "src/a.c", ("x;\n"):rep(600))
    expect_one(tidy.size, "src/a.c", ("x;\n"):rep(601), 601, "601 lines")
  end)

  it("the width of its lines, in characters", function()
    expect_none(tidy.columns, "src/a.c", ("x"):rep(100) .. "\n" .. ("\u{E9}"):rep(100) .. "\n")
    expect_one(tidy.columns, "src/a.c", "\n" .. ("x"):rep(101) .. "\n", 2, "101 columns")
    expect_one(tidy.columns, "src/a.c", ("\xFF"):rep(101) .. "\n", 1, "101 columns")
  end)

  it("that it is finished", function()
    for _, word in ipairs { "TO" .. "DO", "FIX" .. "ME", "X" .. "XX", "HA" .. "CK" } do
      expect_one(tidy.leftovers, "src/a.c", "x;\n/* " .. word .. ": y */\n", 2, word)
      expect_one(tidy.leftovers, "src/a.c", "-- " .. word:lower() .. "\n", 1, word)
      expect_none(tidy.leftovers, "src/a.c", word .. "S a" .. word .. " " .. word .. "_x\n")
    end
  end)
end)

describe("the length of functions", function()
  it("is checked in C", function()
    expect_none(tidy.function_lengths, "src/a.c", c_function(70))
    expect_one(tidy.function_lengths, "src/a.c", "int x;\n" .. c_function(71), 2, "f has 71 lines")
  end)

  it("is not misled by braces in strings, comments and directives", function()
    local odd = 'void a(void)\n{\n  b("{", \'{\', "\\"{"); /* { */ // {\n}\n'
      .. "#define C(x) { \\\n  {\n"
    expect_none(tidy.function_lengths, "src/a.c", odd .. c_function(70))
    expect_one(tidy.function_lengths, "src/a.c", odd .. c_function(71), 7, "f has 71")
  end)

  it("is checked in C++ namespaces", function()
    local text = "namespace {\n\n" .. c_function(71) .. "\n} // namespace\n"
    expect_one(tidy.function_lengths, "src/a.cc", text, 3, "f has 71")
  end)

  it("is checked in Lua", function()
    expect_none(tidy.function_lengths, "lua/a.lua", lua_function(70))
    expect_one(tidy.function_lengths, "lua/a.lua", "\n" .. lua_function(71), 2, "f has 71 lines")
    local blocks = "for i = 1, 2 do if a then b() elseif c then d() else e() end end\n"
      .. "while x do repeat f() until g end\n"
    expect_none(tidy.function_lengths, "lua/a.lua", blocks .. lua_function(70))
    expect_one(tidy.function_lengths, "lua/a.lua", blocks .. lua_function(71), 3, "f has 71")
  end)

  it("is not misled by words in strings and comments of Lua", function()
    local odd = 'f("function", \'end\', [[\nend]], [==[ ]] end ]==]) -- if\n--[[ end\nend ]]\n'
    expect_one(tidy.function_lengths, "lua/a.lua", odd .. lua_function(71), 5, "f has 71")
  end)

  it("does not count blocks of specs, but the specs in them", function()
    local spec = 'describe("x", function()\nit("y", function()\n%send)\nend)\n'
    local inside = ("f()\n"):rep(68)
    expect_none(tidy.function_lengths, "spec/a_spec.lua", spec:format(inside))
    expect_one(tidy.function_lengths, "spec/a_spec.lua", spec:format(inside .. "f()\n"), 2, "71")
    local found = tidy.function_lengths(source.new("lua/a.lua", spec:format(inside)))
    assert.equal(1, #found)
  end)

  it("is checked over all of the C code", function()
    local short, long = c_function(11), c_function(39)
    assert.same({}, tidy.function_sizes(files { ["src/a.c"] = short:rep(8) .. long:rep(2) }))
    local found = tidy.function_sizes(files { ["src/a.c"] = c_function(12) })
    assert.same({ "the median function has 12 lines, not below 12" }, found)
    found = tidy.function_sizes(files { ["src/a.c"] = short:rep(8) .. c_function(40):rep(2) })
    assert.same({ "90 % of the functions have up to 40 lines, not below 40" }, found)
    assert.equal(1, #tidy.function_sizes {})
  end)
end)

describe("the layers", function()
  it("are included downward only", function()
    expect_none(tidy.layers, "src/lib/a.c", '#include "base/b.h"\n#include "lib/a.h"\n')
    expect_none(tidy.layers, "src/server.c", '#include <uv.h>\n#include "roles/http.h"\n')
    expect_none(tidy.layers, "src/core/a.c", '/* #include "http/a.h" */\n')
    expect_one(tidy.layers, "src/core/a.c", '\n#include "http/a.h"\n', 2, "which is above it")
    expect_one(tidy.layers, "src/base/a.h", '#  include "core/a.h"\n', 1, "above")
    expect_none(tidy.layers, "src/main.c", '#include "server.h"\n#include "libs.h"\n')
    expect_one(tidy.layers, "src/server.c", '#include "main.h"\n', 1, "above")
  end)

  it("are named from src/ on", function()
    expect_one(tidy.layers, "src/core/a.c", '#include "a.h"\n', 1, "not named from src/ on")
    expect_one(tidy.layers, "src/roles/a.c", '#include "server.h"\n', 1, "not named from src/")
    expect_one(tidy.layers, "src/core/a.c", '#include "../base/a.h"\n', 1, "not named from")
    expect_one(tidy.layers, "src/extra/a.c", "", 1, "is in no layer")
  end)

  it("at the bottom are free of Lua, also through others", function()
    local lua = { ["src/core/fiber.h"] = "#include <lua.h>\n" }
    assert.same({}, tidy.lua_free(files(lua)))
    lua["src/http/a.h"] = '#include "core/timer.h"\n#include "core/fiber.h"\n'
    lua["src/http/b.c"] = '#include "http/a.h"\n'
    local found = tidy.lua_free(files(lua))
    table.sort(found)
    assert.same({ "src/http/a.h:2: gets lua.h by core/fiber.h, and must build without",
      "src/http/b.c:1: gets lua.h by http/a.h, and must build without" }, found)
    for _, path in ipairs { "src/base/a.h", "src/core/timer.c", "src/core/inbox.h" } do
      assert.equal(1, #tidy.lua_free(files { [path] = "#include <lauxlib.h>\n" }))
    end
  end)

  it("have one place for what must be in one place", function()
    expect_none(tidy.confined, "src/core/fiber.c", "  lua_resume(L);\n")
    expect_one(tidy.confined, "src/core/call.c", "\n  lua_resume(L);\n", 2, "lua_resume is for")
    expect_none(tidy.confined, "src/core/call.c", "/* lua_resume */ x_lua_resume(\"lua_resume\")")
    expect_one(tidy.confined, "src/lib/a.c", "  uv_timer_start(x);\n", 1, "uv_timer_start is for")
    expect_none(tidy.confined, "src/core/inbox.c", "  uv_mutex_lock(x);\n")
    expect_one(tidy.confined, "src/lib/a.c", "  uv_mutex_lock(x);\n", 1, "a lock is for")
    expect_one(tidy.confined, "src/lib/a.h", "  pthread_mutex_t x;\n", 1, "a lock is for")
  end)
end)

describe("calls", function()
  it("that are banned are found", function()
    for _, name in ipairs { "strcpy", "strcat", "sprintf", "vsprintf", "atoi", "strtok", "gets",
      "rand" } do
      expect_one(tidy.banned_calls, "src/main.c", "\n  x = " .. name .. " (y);\n", 2, name .. "()")
      local near = "  x_NAME(y); NAME_r(y); /* NAME(y) */ g(\"NAME(y)\", NAME);\n"
      expect_none(tidy.banned_calls, "src/main.c", (near:gsub("NAME", name)))
    end
  end)

  it("of exit are for main", function()
    expect_one(tidy.banned_calls, "src/server.c", "  exit(1);\n", 1, "exit()")
    expect_none(tidy.banned_calls, "src/main.c", "  exit(1);\n")
    expect_none(tidy.banned_calls, "spec/bench/floor.c", "  exit(1);\n")
  end)
end)

describe("variables at file scope", function()
  it("are constant", function()
    expect_none(tidy.mutable_variables, "src/a.c", [[
static const char key;
static const char a_key, b_key;
static const char *const names[] = {"a", "b"};
const struct rows table[] = {{1}, {2}};
static const struct { int a; } pairs[] = {{1}};
struct point {
  int x;
};
enum { A = 1, B };
typedef int number;
struct later;
static_assert(sizeof(int) == 4, "x");
int call(int (*f)(int), char out[static 3]);
struct { int a; };
]])
  end)

  it("that change are found, whatever they look like", function()
    for _, text in ipairs { "static int count;", "int count = 3;", "static const char *name;",
      "static const char *const a, *b;", "static char text[] = \"const\";", "static int rows[] = {",
      "static void (*hook)(int);", "static struct point { int x; } here;", "extern int shared;",
      "static struct list *first, *last;" } do
      if text:sub(-1) == "{" then text = text .. "\n  1, 2,\n};" end
      expect_one(tidy.mutable_variables, "src/a.c", "\n" .. text .. "\n", 2, "as long as")
    end
  end)

  it("are not hidden in functions", function()
    local text = "int f(void)\n{\n  %s\n  return 1;\n}\n"
    expect_none(tidy.mutable_variables, "src/a.c", text:format "static const int n = 1;")
    expect_none(tidy.mutable_variables, "src/a.c", text:format "const char *x = 0;")
    expect_one(tidy.mutable_variables, "src/a.c", text:format "static int n;", 3, "static int n")
    expect_one(tidy.mutable_variables, "src/a.c", text:format "static const char *n;", 3, "static")
    expect_one(tidy.mutable_variables, "src/a.c", text:format "static const struct a\n  *n = b;", 3,
      "static")
    expect_one(tidy.mutable_variables, "src/a.c", text:format "_Thread_local const int n;", 3,
      "_Thread_local")
  end)
end)

local HEAD = "/* inbox.h - x\n * y\n * z */\n"

describe("headers", function()
  it("name functions after themselves", function()
    expect_none(tidy.names, "src/core/inbox.h", [[
#define INBOX(x) other(x)
int inbox(void);
struct list *inbox_find(const char *name, size_t len) PRINTF_LIKE(2, 3);
NO_RETURN void inboxs_end(void);
int luaopen_perilune_inbox(lua_State *L);
static inline int inbox_count(int x) { return other(x); }
]])
    expect_one(tidy.names, "src/core/inbox.h", "\nint post(int x);\n", 2, "post does not begin")
    expect_one(tidy.names, "src/core/inbox.h", "int inboxpost(int x);\n", 1, "inboxpost does not")
    expect_one(tidy.names, "src/core/inbox.h", "static inline int x(void)\n{\n}\n", 1, "x does not")
    expect_one(tidy.names, "src/core/inbox.h", "void *y(\n  int x);\n", 1, "y does not")
    expect_one(tidy.names, "src/base/base.h", "int base_x(void);\n", 1, "begin with memory_")
  end)

  it("say where functions may be called", function()
    local path = "src/core/inbox.h"
    expect_none(tidy.thread_tags, path, HEAD .. "/* [owner] x\n * y. */\nint a(void);\nint b(int x,"
      .. "\n  int y); /* z */\nint c(void);\n\n/* Any. [any thread] */\nint d(void);\n")
    expect_none(tidy.thread_tags, path, HEAD .. "/* a */\nstruct x {\n  int (*f)(void);\n};\n")
    local all = (HEAD:gsub("y", "All functions are [owner]."))
    expect_none(tidy.thread_tags, path, all .. "int a(void);\n")
    expect_one(tidy.thread_tags, path, HEAD .. "/* x */\nint a(void);\n", 5, "above a does not say")
    expect_one(tidy.thread_tags, path, HEAD .. "/* [owner] */\n\nint a(void);\n", 6, "above a")
    expect_one(tidy.thread_tags, path, HEAD .. "/* [owner] */\nint a(void);\n\nint b(void);\n", 7,
      "above b")
    local other = (HEAD:gsub("y", "[owner]"))
    expect_one(tidy.thread_tags, path, other .. "\nint a(void);\n", 5, "above a")
  end)

  it("have a source file", function()
    local function found(texts)
      return tidy.homes(files(texts))
    end
    local prototype = "\nint x(void);\n"
    assert.same({}, found { ["src/a.h"] = prototype, ["src/a.c"] = "" })
    assert.same({}, found { ["src/a.h"] = prototype, ["src/a.cc"] = "" })
    assert.same({}, found { ["src/a.h"] = "struct x;\n" })
    assert.same({}, found { ["src/base/base.h"] = prototype, ["src/base/memory.c"] = "" })
    assert.same({ "src/a.h:2: x has no src/a.c" }, found { ["src/a.h"] = prototype })
    assert.same({ "src/base/base.h:2: x has no src/base/memory.c" },
      found { ["src/base/base.h"] = prototype, ["src/base/base.c"] = "" })
  end)
end)

describe("apps", function()
  it("have specs and a page", function()
    local whole = { "apps/a/app.lua", "apps/a/README.md", "apps/a/spec/a_spec.lua",
      "apps/notes.md" }
    assert.same({}, tidy.apps(whole))
    assert.same({ "apps/a/README.md:1: is missing" }, tidy.apps { whole[1], whole[3] })
    assert.same({ "apps/a/spec:1: has no *_spec.lua" }, tidy.apps { whole[1], whole[2] })
    assert.equal(2, #tidy.apps { "apps/a/app.lua", "apps/a/spec/helper.lua", "apps/b/README.md" })
  end)
end)
