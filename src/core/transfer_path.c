/* transfer_path.c - the path to a value, as an error tells it: `argument 2.rows[3].db`.
 *
 * Made only when something is refused, from the chain of steps that the encoder left on the C
 * stack. The text has a fixed size and is cut when it would be longer, so a raise leaks nothing. */
#include "core/transfer_format.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>

static void add_part(struct transfer_path *path, const char *part) {
  int len = snprintf(path->text + path->len, sizeof path->text - path->len, "%s", part);
  path->len += (size_t)len;
  if (path->len < sizeof path->text) return;
  static const char cut[] = "...";
  path->len = sizeof path->text - 1;
  memcpy(path->text + path->len - (sizeof cut - 1), cut, sizeof cut - 1);
}

static bool is_identifier(const char *text, size_t len) {
  if (len == 0 || isdigit((unsigned char)text[0])) return false;
  for (size_t i = 0; i < len; i++)
    if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
  return true;
}

/* The part of a path that a string key makes, without what would garble a log line. */
static void add_name(struct transfer_path *path, const char *text, size_t len) {
  enum { SHOWN_MAX = 64 };
  char shown[SHOWN_MAX + 1], part[SHOWN_MAX + sizeof "[\"\"...]"];
  size_t n = len < SHOWN_MAX ? len : SHOWN_MAX;
  for (size_t i = 0; i < n; i++) shown[i] = iscntrl((unsigned char)text[i]) ? '?' : text[i];
  shown[n] = '\0';
  if (n == len && is_identifier(text, len))
    snprintf(part, sizeof part, ".%s", shown);
  else
    snprintf(part, sizeof part, "[\"%s%s\"]", shown, n < len ? "..." : "");
  add_part(path, part);
}

static void add_key(struct transfer_path *path, lua_State *L, int key) {
  char part[64];
  size_t len;
  if (lua_type(L, key) == LUA_TSTRING) {
    const char *text = lua_tolstring(L, key, &len);
    add_name(path, text, len);
    return;
  }
  if (lua_isinteger(L, key))
    snprintf(part, sizeof part, "[" LUA_INTEGER_FMT "]", lua_tointeger(L, key));
  else if (lua_type(L, key) == LUA_TNUMBER)
    snprintf(part, sizeof part, "[" LUA_NUMBER_FMT "]", lua_tonumber(L, key));
  else if (lua_type(L, key) == LUA_TBOOLEAN)
    snprintf(part, sizeof part, "[%s]", lua_toboolean(L, key) ? "true" : "false");
  else
    snprintf(part, sizeof part, "[%s]", luaL_typename(L, key));
  add_part(path, part);
}

static void add_steps(struct transfer_path *path, lua_State *L, const struct transfer_step *step) {
  if (!step) return;
  add_steps(path, L, step->up);
  if (!step->upvalue) {
    add_key(path, L, step->key);
    return;
  }
  add_part(path, ".upvalue ");
  add_part(path, step->upvalue);
}

void transfer_path_write(struct transfer_path *path, lua_State *L, const char *what, int number,
                         const struct transfer_step *last) {
  path->len = 0;
  path->text[0] = '\0';
  add_part(path, what);
  if (number > 0) {
    char part[16];
    snprintf(part, sizeof part, " %d", number);
    add_part(path, part);
  }
  add_steps(path, L, last);
}
