/* static.c - from the path of a request to a name beneath a directory, mount by mount.
 *
 * That the name stays beneath the directory is the kernel's promise (open_file_beneath); here is
 * refused what no honest client asks for, before any file is looked for. */
#include "http/static.h"

#include "base/limits.h"
#include "http/answer.h"
#include "http/exchange.h"
#include "http/file.h"
#include "http/hub.h"
#include "http/lookup.h"
#include "http/open_file.h"
#include "http/status.h"
#include "http/uri.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct statics {
  struct static_mount *mounts; /* longest prefix first */
  size_t count;
};

struct statics *static_create(void) {
  return memory_alloc_zero(sizeof(struct statics));
}

void static_destroy(struct statics *statics) {
  if (!statics) return;
  for (size_t i = 0; i < statics->count; i++) {
    free((char *)statics->mounts[i].prefix.data);
    free((char *)statics->mounts[i].block.data);
    close(statics->mounts[i].dir_fd);
  }
  free(statics->mounts);
  free(statics);
}

static struct slice copy(struct slice text) {
  return (struct slice){memory_copy(text.data, text.len), text.len};
}

void static_add(struct statics *statics, const struct static_mount *mount) {
  size_t at = 0;
  while (at < statics->count && statics->mounts[at].prefix.len >= mount->prefix.len) at++;
  statics->mounts = memory_resize(statics->mounts, (statics->count + 1) * sizeof *statics->mounts);
  struct static_mount *place = &statics->mounts[at];
  memmove(place + 1, place, (statics->count - at) * sizeof *place);
  *place = *mount;
  place->prefix = copy(mount->prefix);
  place->block = copy(mount->block);
  place->is_local = open_file_is_local(mount->dir_fd);
  statics->count++;
}

/* ---- names ---- */

/* Appends the decoded path; false when it has a byte that no name has. A '/' that was encoded would
 * be one inside a name. */
static bool decode(struct buffer *out, struct slice path) {
  const char *end = path.data + path.len;
  for (const char *at = path.data; at < end;) {
    int escaped = uri_read_escape(at, end);
    char byte = escaped < 0 ? *at : (char)escaped;
    if (byte == '\0' || byte == '\\' || (escaped >= 0 && byte == '/')) return false;
    buffer_add_byte(out, byte);
    at += escaped < 0 ? 1 : 3;
  }
  return true;
}

/* Whether a segment can be a name that is served. */
static bool is_name(struct slice segment, bool is_first, bool has_dotfiles) {
  static const char well_known[] = ".well-known";
  if (segment.len == 0) return false;
  if (segment.data[0] != '.') return true;
  bool is_dots = segment.len <= 2 && segment.data[segment.len - 1] == '.';
  if (is_dots) return false;
  bool is_well_known = is_first && segment.len == sizeof well_known - 1 &&
                       memcmp(segment.data, well_known, segment.len) == 0;
  return has_dotfiles || is_well_known;
}

/* "a/b", without a slash at its end. */
static bool are_names(struct slice path, bool has_dotfiles) {
  for (bool is_first = true;; is_first = false) {
    const char *slash = memchr(path.data, '/', path.len);
    struct slice segment = {path.data, slash ? (size_t)(slash - path.data) : path.len};
    if (!is_name(segment, is_first, has_dotfiles)) return false;
    if (!slash) return true;
    path = (struct slice){slash + 1, path.len - segment.len - 1};
  }
}

/* What is behind the prefix: "", or with the slash before it. */
static bool take_prefix(struct slice *path, struct slice prefix) {
  if (path->len < prefix.len || memcmp(path->data, prefix.data, prefix.len) != 0) return false;
  if (path->len > prefix.len && path->data[prefix.len] != '/') return false;
  *path = (struct slice){path->data + prefix.len, path->len - prefix.len};
  return true;
}

/* The name for what is behind the prefix, in place of it: "" is the directory itself. */
static bool write_name(struct buffer *out, struct slice rest, bool has_dotfiles, bool *has_slash) {
  bool is_root = rest.len <= 1;
  *has_slash = rest.len > 0 && rest.data[rest.len - 1] == '/';
  struct slice names = {"", 0};
  if (!is_root) names = (struct slice){rest.data + 1, rest.len - 1 - *has_slash};
  if (!is_root && !are_names(names, has_dotfiles)) return false;
  if (!is_root) memmove(out->data, names.data, names.len);
  out->len = names.len;
  if (*has_slash && !is_root) buffer_add_byte(out, '/');
  if (*has_slash) buffer_add_text(out, LOOKUP_INDEX);
  if (out->len == 0) buffer_add_byte(out, '.');
  buffer_add_byte(out, '\0');
  return true;
}

bool static_name(struct buffer *out, const struct static_mount *mount, struct slice path,
                 bool *has_slash) {
  buffer_clear(out);
  if (path.len == 0 || !decode(out, path)) return false;
  struct slice rest = {out->data, out->len};
  return take_prefix(&rest, mount->prefix) && write_name(out, rest, mount->has_dotfiles, has_slash);
}

/* ---- serving ---- */

/* Whether the file there may be counts for the request. */
static bool may_serve(const struct exchange *exchange) {
  switch (exchange->_matched) {
  case MATCH_FOUND:
    assert(false && "a route was found");
    return false;
  case MATCH_NONE:
    return true;
  case MATCH_METHOD:
  case MATCH_SLASH:
    return exchange->request.method == METHOD_GET || exchange->request.method == METHOD_HEAD;
  case MATCH_OPTIONS:
    return false;
  }
  return false;
}

static bool serve_from(struct exchange *exchange, size_t at);

static void serve_next(struct exchange *exchange, size_t at) {
  if (!serve_from(exchange, at + 1)) answer_unmatched(exchange);
}

/* Answers with the file of the first mount from `at` on that may have it. */
static bool serve_from(struct exchange *exchange, size_t at) {
  const struct statics *statics = exchange->hub->statics;
  for (; at < statics->count; at++) {
    const struct static_mount *mount = &statics->mounts[at];
    struct buffer name = {0};
    bool has_slash, is_name = static_name(&name, mount, exchange->request.uri.path, &has_slash);
    if (is_name) {
      struct file_wanted wanted = {.path = {name.data, name.len - 1},
                                   .dir_fd = mount->dir_fd,
                                   .is_local = mount->is_local,
                                   .status = STATUS_OK,
                                   .block = mount->block,
                                   .has_index = !has_slash,
                                   .has_siblings = true,
                                   .otherwise = serve_next,
                                   .at = at};
      file_respond(exchange, &wanted);
    }
    buffer_finish(&name);
    if (is_name) return true;
  }
  return false;
}

bool static_serve(struct exchange *exchange) {
  return exchange->hub->statics && may_serve(exchange) && serve_from(exchange, 0);
}
