/* function_name.c - reads the line of source that defines a function.
 *
 * The text comes from the app's snapshot, so it is the one that was compiled. A function of
 * another file is called by its file and line. */
#include "core/function_name.h"

#include "core/place.h"
#include "core/snapshot.h"
#include "core/worker.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

static bool is_name_byte(char c) {
  return isalnum((unsigned char)c) || (c && strchr("_.:", c));
}

static struct slice find_line(struct slice text, int wanted) {
  const char *at = text.data, *end = text.data + text.len;
  for (int line = 1; line < wanted && at; line++) {
    at = memchr(at, '\n', (size_t)(end - at));
    if (at) at++;
  }
  if (!at) return (struct slice){"", 0};
  const char *stop = memchr(at, '\n', (size_t)(end - at));
  return (struct slice){at, (size_t)((stop ? stop : end) - at)};
}

static struct slice trim(const char *start, const char *end) {
  while (start < end && isspace((unsigned char)*start)) start++;
  while (end > start && isspace((unsigned char)end[-1])) end--;
  return (struct slice){start, (size_t)(end - start)};
}

static bool is_name(struct slice text) {
  for (size_t i = 0; i < text.len; i++)
    if (!is_name_byte(text.data[i])) return false;
  return text.len > 0;
}

/* `function NAME(`: what stands between the word and the parenthesis. */
static bool name_behind(struct slice line, const char *word, struct slice *name) {
  const char *start = word + strlen("function"), *end = line.data + line.len;
  const char *parenthesis = memchr(start, '(', (size_t)(end - start));
  *name = trim(start, parenthesis ? parenthesis : end);
  return is_name(*name);
}

/* Whether what stands before a function wraps it, or is nothing. A method, a function of
 * perilune.async and a field take the function, and give something else. */
static bool wraps(struct slice text) {
  if (text.len >= 6 && strncmp(text.data, "async.", 6) == 0) return false;
  return !memchr(text.data, ':', text.len) && !memchr(text.data, '=', text.len);
}

/* `local NAME <const> = ... function`: what stands before the first equals sign. */
static bool name_before(struct slice line, const char *word, struct slice *name) {
  const char *equals = memchr(line.data, '=', (size_t)(word - line.data));
  if (!equals || !wraps(trim(equals + 1, word))) return false;
  *name = trim(line.data, equals);
  if (name->len > 6 && strncmp(name->data, "local ", 6) == 0)
    *name = trim(name->data + 6, name->data + name->len);
  const char *attribute = memchr(name->data, '<', name->len);
  if (attribute) *name = trim(name->data, attribute);
  return is_name(*name);
}

/* The first `function` that is a word of its own, or NULL. */
static const char *find_word(struct slice line) {
  const char *at = line.data, *end = line.data + line.len;
  const size_t len = strlen("function");
  while ((at = memmem(at, (size_t)(end - at), "function", len))) {
    bool begins = at == line.data || !is_name_byte(at[-1]);
    if (begins && (at + len == end || !is_name_byte(at[len]))) return at;
    at += len;
  }
  return NULL;
}

static bool find_name(struct slice line, struct slice *name) {
  const char *word = find_word(line);
  return word && (name_behind(line, word, name) || name_before(line, word, name));
}

/* The path behind a directory of the source of a chunk, or NULL when it is not in it. */
static const char *path_in(const char *dir, const char *source) {
  size_t len = strlen(dir);
  bool is_inside = *source == '@' && strncmp(source + 1, dir, len) == 0 && source[1 + len] == '/';
  return is_inside ? source + len + 2 : NULL;
}

bool function_name_find(struct snapshot *snapshot, const char *source, int line,
                        struct slice *name) {
  struct slice text;
  if (!snapshot) return false;
  const char *path = path_in(snapshot_shown_dir(snapshot), source);
  if (!path) path = path_in(snapshot_dir(snapshot), source);
  return path && snapshot_read(snapshot, path, &text) && find_name(find_line(text, line), name);
}

/* Replaces the function on top by its name. */
static void push_name(lua_State *L) {
  lua_Debug debug;
  struct slice name;
  lua_getinfo(L, ">S", &debug);
  if (function_name_find(worker_of(L)->snapshot, debug.source, debug.linedefined, &name))
    lua_pushlstring(L, name.data, name.len);
  else
    lua_pushfstring(L, "%s:%d", debug.short_src, debug.linedefined);
}

void function_name_push(lua_State *L, int index) {
  struct place *place = place_of(L, index);
  if (place && place->called) {
    lua_pushstring(L, place->called);
    return;
  }
  lua_pushvalue(L, index);
  if (place) {
    place_push_function(L, -1);
    lua_remove(L, -2);
  }
  push_name(L);
  if (place) place->called = memory_copy(lua_tostring(L, -1), lua_rawlen(L, -1));
}
