/* media_type_spec.c - types by name, and the order of the table that is searched.
 *
 * Pure. */
#include "http/media_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
/* cmocka.h needs the three above. */
#include <cmocka.h>

static const struct media_type *find(const char *name) {
  return media_type_find((struct slice){name, strlen(name)});
}

static void finds_by_the_end_of_the_name(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"index.html", "text/html; charset=utf-8"},
      {"a/b.c/style.css", "text/css; charset=utf-8"},
      {"APP.JS", "text/javascript; charset=utf-8"},
      {"app.min.mjs", "text/javascript; charset=utf-8"},
      {"data.json", "application/json"},
      {"app.js.map", "application/json"},
      {"pic.JPeG", "image/jpeg"},
      {"logo.svg", "image/svg+xml"},
      {"m.wasm", "application/wasm"},
      {"font.woff2", "font/woff2"},
      {"site.webmanifest", "application/manifest+json"},
      {"archive.tar.gz", "application/gzip"},
      {"video.3gp", "video/3gpp"},
      {"x.7z", "application/x-7z-compressed"},
      {"x.zst", "application/zstd"},
      {"README", "application/octet-stream"},
      {"", "application/octet-stream"},
      {".", "application/octet-stream"},
      {"name.", "application/octet-stream"},
      {"name.unheard", "application/octet-stream"},
      {"name.html ", "application/octet-stream"},
      {"a.extension-that-is-very-long", "application/octet-stream"},
      {"html", "application/octet-stream"},
  };
  for (size_t i = 0; i < array_len(cases); i++) {
    const struct media_type *type = find(cases[i][0]);
    if (type->type.len != strlen(cases[i][1]) || strcmp(type->type.data, cases[i][1]) != 0)
      fail_msg("%s: %s", cases[i][0], type->type.data);
  }
}

static void knows_what_is_compressed_in_itself(void **state) {
  (void)state;
  assert_true(find("a.png")->is_packed);
  assert_true(find("a.zip")->is_packed);
  assert_true(find("a.woff2")->is_packed);
  assert_false(find("a.html")->is_packed);
  assert_false(find("a.svg")->is_packed);
  assert_false(find("a.unheard")->is_packed);
}

/* Every row finds itself only in a sorted table. */
static void finds_every_row(void **state) {
  (void)state;
  char name[32] = "x.";
  const struct media_type *first = find("a.3gp");
  const struct media_type *last = find("a.zst");
  assert_true(last > first);
  for (const struct media_type *row = first; row <= last; row++) {
    memcpy(name + 2, row->extension.data, row->extension.len);
    assert_ptr_equal(media_type_find((struct slice){name, 2 + row->extension.len}), row);
    assert_non_null(memchr(row->type.data, '/', row->type.len));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(finds_by_the_end_of_the_name),
                                     cmocka_unit_test(knows_what_is_compressed_in_itself),
                                     cmocka_unit_test(finds_every_row)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
