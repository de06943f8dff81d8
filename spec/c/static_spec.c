/* static_spec.c - from raw request paths to names beneath a mount: every way to write "..".
 *
 * Pure: no file is opened, static_name only reads the path. */
#include "http/static.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four above. */
#include <cmocka.h>

#define NOTHING NULL

static const struct static_mount root = {.prefix = {"", 0}};
static const struct static_mount assets = {.prefix = {"/assets", 7}};
static const struct static_mount dotted = {.prefix = {"", 0}, .has_dotfiles = true};

static const struct {
  const struct static_mount *mount;
  const char *path;
  const char *name; /* NOTHING: refused */
} cases[] = {
    {&root, "/", "index.html"},
    {&root, "/a", "a"},
    {&root, "/a/", "a/index.html"},
    {&root, "/a/b.css", "a/b.css"},
    {&root, "/a%20b", "a b"},
    {&root, "/%61%62", "ab"},
    {&root, "/caf%C3%A9", "caf\xC3\xA9"},
    {&root, "/a+b", "a+b"},
    {&root, "/100%", "100%"},
    {&root, "/%zz", "%zz"},
    {&root, "/a..b", "a..b"},
    {&root, "/a.", "a."},
    {&root, "/a;b=c", "a;b=c"},
    /* below a prefix */
    {&assets, "/assets", "."},
    {&assets, "/assets/", "index.html"},
    {&assets, "/assets/a", "a"},
    {&assets, "/%61ssets/a", "a"},
    {&assets, "/assets/a/", "a/index.html"},
    {&assets, "/assetsx", NOTHING},
    {&assets, "/asset", NOTHING},
    {&assets, "/Assets/a", NOTHING},
    {&assets, "/", NOTHING},
    {&assets, "/assets//a", NOTHING},
    {&assets, "/assets/../a", NOTHING},
    {&assets, "/assets%2Fa", NOTHING},
    /* dot segments in every dress */
    {&root, "/..", NOTHING},
    {&root, "/../", NOTHING},
    {&root, "/../a", NOTHING},
    {&root, "/a/..", NOTHING},
    {&root, "/a/../b", NOTHING},
    {&root, "/a/../../b", NOTHING},
    {&root, "/.", NOTHING},
    {&root, "/./a", NOTHING},
    {&root, "/a/.", NOTHING},
    {&root, "/a/./", NOTHING},
    {&root, "/%2e%2e/a", NOTHING},
    {&root, "/%2E%2E/a", NOTHING},
    {&root, "/%2e./a", NOTHING},
    {&root, "/.%2e/a", NOTHING},
    {&root, "/..%2fa", NOTHING},
    {&root, "/..%2Fa", NOTHING},
    {&root, "/a%2f..%2fb", NOTHING},
    {&root, "/%2e%2e%2fa", NOTHING},
    {&root, "/..\\a", NOTHING},
    {&root, "/a\\b", NOTHING},
    {&root, "/..%5ca", NOTHING},
    {&root, "/..%5Ca", NOTHING},
    {&root, "/%2e%2e%5ca", NOTHING},
    /* decoded once only: these are names, odd ones */
    {&root, "/%252e%252e/a", "%2e%2e/a"},
    {&root, "/..%252fa", NOTHING},
    {&root, "/a%252fb", "a%2fb"},
    {&root, "/%255c", "%5c"},
    /* overlong UTF-8 is no dot and no slash */
    {&root, "/%c0%ae%c0%ae/a", "\xC0\xAE\xC0\xAE/a"},
    {&root, "/%c0%af", "\xC0\xAF"},
    {&root, "/%e0%80%ae%e0%80%ae/a", "\xE0\x80\xAE\xE0\x80\xAE/a"},
    {&root, "/%uff0e%uff0e/a", "%uff0e%uff0e/a"},
    /* NUL */
    {&root, "/a%00", NOTHING},
    {&root, "/a%00.html", NOTHING},
    {&root, "/%00/../a", NOTHING},
    /* empty segments */
    {&root, "//", NOTHING},
    {&root, "//a", NOTHING},
    {&root, "/a//b", NOTHING},
    {&root, "/a//", NOTHING},
    {&root, "//etc/passwd", NOTHING},
    {&root, "/%2Fetc/passwd", NOTHING},
    /* names that start with a dot */
    {&root, "/.git/config", NOTHING},
    {&root, "/a/.env", NOTHING},
    {&root, "/%2egit/config", NOTHING},
    {&root, "/...", NOTHING},
    {&root, "/..a", NOTHING},
    {&root, "/.well-known/acme", ".well-known/acme"},
    {&root, "/.well-known", ".well-known"},
    {&root, "/.well-known/.secret", NOTHING},
    {&root, "/a/.well-known/b", NOTHING},
    {&root, "/.well-knownx", NOTHING},
    {&dotted, "/.git/config", ".git/config"},
    {&dotted, "/...", "..."},
    {&dotted, "/..", NOTHING},
    {&dotted, "/./a", NOTHING},
    {&dotted, "/%2e%2e/a", NOTHING},
    /* what is no path */
    {&root, "*", NOTHING},
};

static void names(void **state) {
  (void)state;
  struct buffer name = {0};
  for (size_t i = 0; i < array_len(cases); i++) {
    bool has_slash;
    struct slice path = {cases[i].path, strlen(cases[i].path)};
    /* Memory of its own, so that a read past its end is seen. */
    char *copy = malloc(path.len);
    memcpy(copy, path.data, path.len);
    bool is_name = static_name(&name, cases[i].mount, (struct slice){copy, path.len}, &has_slash);
    free(copy);
    const char *found = is_name ? name.data : NULL;
    bool is_expected =
        found && cases[i].name ? strcmp(found, cases[i].name) == 0 : found == cases[i].name;
    if (!is_expected) fail_msg("%s: %s", cases[i].path, found ? found : "nothing");
    if (is_name) assert_int_equal(name.len, strlen(name.data) + 1);
    if (is_name) assert_int_equal(has_slash, path.data[path.len - 1] == '/');
  }
  buffer_finish(&name);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(names)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
