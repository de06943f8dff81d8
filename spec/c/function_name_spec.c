/* function_name_spec.c - the name in the line that defines a function, else file and line.
 *
 * Each line of the app under test defines one function, and has the name that is expected behind
 * it: `--> name`, or `--> -` where only file:line is right. */
#include "pool_fixture.h"

#include "core/function_name.h"

static const char names_app[] =
    "local M, wrap, T = {}, function(f) return f end, {} --> -\n"
    "F = {} function T:take(f) T[1] = f end local async = { take = function(f) T[1] = f end }\n"
    "local function plain() end F[3] = plain --> plain\n"
    "local function spaced  ( ) end F[4] = spaced --> spaced\n"
    "function M.dotted() end F[5] = M.dotted --> M.dotted\n"
    "function M:method() end F[6] = M.method --> M:method\n"
    "function global_one() end F[7] = global_one --> global_one\n"
    "local assigned = function() end F[8] = assigned --> assigned\n"
    "M.field = function() end F[9] = M.field --> M.field\n"
    "local wrapped = wrap(function() end) F[10] = wrapped --> wrapped\n"
    "marked = require 'perilune'.blocking(function() end) F[11] = marked --> marked\n"
    "F[12] = function() end --> -\n"
    "F[13] = (function() return function() end end)() --> -\n"
    "local function_like = function() end F[14] = function_like --> function_like\n"
    "local my_function = wrap(function() end) F[15] = my_function --> my_function\n"
    "local functional = wrap(wrap(function() end)) F[16] = functional --> functional\n"
    "T.a = wrap { function() end } F[17] = T.a[1] --> T.a\n"
    "local fixed <const> = function() end F[18] = fixed --> fixed\n"
    "  local function indented(a, b) end F[19] = indented --> indented\n"
    "local kept = T:take(function() end) F[20] = T[1] --> -\n"
    "local task = async.take(function() end) F[21] = T[1] --> -\n"
    "local both = { first = function() end } F[22] = both.first --> -\n"
    "return require 'perilune'.app {}\n";

static const char names_chunk[] =
    "local lines, n = {}, 0\n"
    "for line in text:gmatch '[^\\n]*' do n = n + 1 lines[n] = line end\n"
    "for i = 3, 22 do\n"
    "  local expected = lines[i]:match '%-%-> (%S+)'\n"
    "  if expected == '-' then expected = file .. ':' .. i end\n"
    "  eq(function_name(F[i]), expected)\n"
    "end\n";

static int function_name(lua_State *L) {
  function_name_push(L, 1);
  return 1;
}

static void reads_the_line_that_defines_it(void **state) {
  struct site *site = *state;
  struct site app = {.fixture = site->fixture};
  lua_State *L = site->fixture->worker.L;
  char file[128];
  write_app(&app, names_app);
  app.snapshot = snapshot_create(app.dir);
  app.pools = site->pools;
  load_app_into(site->fixture, &app);
  remove_app(&app); /* the text comes from the snapshot */
  lua_register(L, "function_name", function_name);
  lua_pushstring(L, names_app);
  lua_setglobal(L, "text");
  snprintf(file, sizeof file, "%s/app.lua", app.dir);
  lua_pushstring(L, file);
  lua_setglobal(L, "file");
  expect_call(site, names_chunk);
  site->fixture->worker.snapshot = site->snapshot;
  snapshot_destroy(app.snapshot);
}

/* A snapshot whose directory is shown as seen from its parent. */
static struct snapshot *create_seen_from_above(const char *dir) {
  char here[1024], parent[1024];
  assert_non_null(getcwd(here, sizeof here));
  snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(dir, '/') - dir), dir);
  assert_int_equal(chdir(parent), 0);
  struct snapshot *snapshot = snapshot_create(dir);
  assert_int_equal(chdir(here), 0);
  assert_string_not_equal(snapshot_shown_dir(snapshot), dir);
  return snapshot;
}

static void knows_a_file_that_was_loaded_by_its_absolute_path(void **state) {
  struct site *site = *state;
  struct site app = {.fixture = site->fixture};
  char chunk[256];
  lua_register(site->fixture->worker.L, "function_name", function_name);
  write_app(&app, "local function absolute() end return absolute\n");
  struct snapshot *snapshot = create_seen_from_above(app.dir);
  site->fixture->worker.snapshot = snapshot;
  snprintf(chunk, sizeof chunk, "eq(function_name(loadfile '%s/app.lua' ()), 'absolute')", app.dir);
  expect_call(site, chunk);
  site->fixture->worker.snapshot = site->snapshot;
  snapshot_destroy(snapshot);
  remove_app(&app);
}

static void gives_file_and_line_of_other_functions(void **state) {
  struct site *site = *state;
  lua_register(site->fixture->worker.L, "function_name", function_name);
  expect_call(site, "local function here() end\n"
                    "eq(function_name(here), 'chunk:1')\n"
                    "eq(function_name(print), '[C]:-1')\n"
                    "eq(function_name(load '\\n return 1'), '[string \"...\"]:0')\n");
  site->fixture->worker.snapshot = NULL;
  expect_call(site, "local function here() end eq(function_name(here), 'chunk:1')");
  site->fixture->worker.snapshot = site->snapshot;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      site_test(reads_the_line_that_defines_it),
      site_test(knows_a_file_that_was_loaded_by_its_absolute_path),
      site_test(gives_file_and_line_of_other_functions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
