/* cors.c - matching origins, methods and fields against an app's rules.
 *
 * Nothing of a request is echoed that was not matched first: an origin is repeated only when a rule
 * allows it, requested field names only when they are tokens. Origins are kept as text, a pattern
 * as what stands before and after its "*". */
#include "http/cors.h"

#include "http/field.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SAFE_HEADERS "Accept, Accept-Language, Content-Language, Content-Type"

enum { PORT_MAX = 65535 };

struct cors_origin {
  struct slice before; /* all of it when there is no "*" */
  struct slice after;
  bool is_pattern;
};

struct cors {
  struct cors_origin *origins;
  size_t origin_count;
  bool is_any_origin, is_any_header, credentials;
  uint32_t max_age_s;
  struct slice methods, headers, exposed;
};

/* ---- origins as an app writes them ---- */

static bool is_letter(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

static bool is_digit(char byte) {
  return byte >= '0' && byte <= '9';
}

static bool is_host_byte(char byte) {
  return is_letter(byte) || is_digit(byte) || byte == '-' || byte == '_';
}

/* One or more labels with dots between them. */
static bool is_labels(struct slice text) {
  bool is_inside = false;
  for (size_t i = 0; i < text.len; i++) {
    if (text.data[i] == '.' && !is_inside) return false;
    if (text.data[i] != '.' && !is_host_byte(text.data[i])) return false;
    is_inside = text.data[i] != '.';
  }
  return is_inside;
}

/* "[::1]" */
static bool is_ip6(struct slice text) {
  if (text.len < sizeof "[::]" - 1 || text.data[0] != '[' || text.data[text.len - 1] != ']')
    return false;
  for (size_t i = 1; i < text.len - 1; i++)
    if (!strchr("0123456789abcdefABCDEF:.", text.data[i]) || !text.data[i]) return false;
  return true;
}

static bool is_port(struct slice text) {
  unsigned port = 0;
  if (text.len == 0 || text.len > sizeof "65535" - 1 || *text.data == '0') return false;
  for (size_t i = 0; i < text.len; i++) {
    if (!is_digit(text.data[i])) return false;
    port = port * 10 + (unsigned)(text.data[i] - '0');
  }
  return port <= PORT_MAX;
}

struct parts {
  struct slice scheme, host, port; /* port: "" when there is none */
};

/* False when there is no "scheme://". */
static bool split_origin(struct slice text, struct parts *parts) {
  size_t at = 0;
  while (at < text.len &&
         (is_letter(text.data[at]) ||
          (at > 0 && (is_digit(text.data[at]) || memchr("+.-", text.data[at], 3)))))
    at++;
  if (at == 0 || text.len - at < 3 || memcmp(text.data + at, "://", 3) != 0) return false;
  parts->scheme = (struct slice){text.data, at};
  struct slice rest = {text.data + at + 3, text.len - at - 3};
  size_t host_len = rest.len;
  for (size_t i = rest.len; i > 0 && rest.data[i - 1] != ']'; i--)
    if (rest.data[i - 1] == ':') host_len = i - 1;
  parts->host = (struct slice){rest.data, host_len};
  bool has_port = host_len < rest.len;
  parts->port = has_port ? (struct slice){rest.data + host_len + 1, rest.len - host_len - 1}
                         : (struct slice){"", 0};
  return !has_port || is_port(parts->port);
}

static bool is_text(struct slice text, const char *literal) {
  return text.len == strlen(literal) && memcmp(text.data, literal, text.len) == 0;
}

const char *cors_check_origin(struct slice text) {
  struct parts parts;
  if (is_text(text, "*") || is_text(text, "null")) return NULL;
  if (text.len > 0 && text.data[text.len - 1] == '/')
    return "an origin ends with its host or port, without a slash";
  if (!split_origin(text, &parts))
    return "an origin is scheme://host or scheme://host:port, such as https://example.com";
  if (is_ip6(parts.host)) return NULL;
  struct slice host = parts.host;
  if (host.len > 2 && memcmp(host.data, "*.", 2) == 0)
    host = (struct slice){host.data + 2, host.len - 2};
  if (memchr(host.data, '*', host.len))
    return "a * stands for whole labels at the beginning of a host, such as "
           "https://*.example.com";
  if (memchr(host.data, '/', host.len)) return "an origin has no path";
  if (!is_labels(host))
    return "an origin is scheme://host or scheme://host:port, such as https://example.com";
  return NULL;
}

/* Browsers leave the usual port out. */
static struct slice without_usual_port(struct slice text) {
  struct parts parts;
  if (!split_origin(text, &parts)) return text;
  bool is_usual = (field_equal(parts.scheme, FIELD_TEXT("https")) && is_text(parts.port, "443")) ||
                  (field_equal(parts.scheme, FIELD_TEXT("http")) && is_text(parts.port, "80"));
  if (is_usual) text.len -= parts.port.len + 1;
  return text;
}

/* ---- rules ---- */

static struct slice copy(struct slice text) {
  return (struct slice){memory_copy(text.len ? text.data : "", text.len), text.len};
}

/* `first` in front of a list, which may be empty. */
static struct slice join(const char *first, struct slice list) {
  struct buffer joined = {0};
  buffer_add_text(&joined, first);
  if (list.len > 0) buffer_add_text(&joined, ", ");
  buffer_add(&joined, list.data, list.len);
  return (struct slice){joined.data, joined.len};
}

static void add_origin(struct cors *cors, struct slice text) {
  assert(!cors_check_origin(text));
  if (is_text(text, "*")) {
    cors->is_any_origin = true;
    return;
  }
  struct slice kept = copy(without_usual_port(text));
  struct cors_origin *origin = &cors->origins[cors->origin_count++];
  const char *star = memchr(kept.data, '*', kept.len);
  *origin = (struct cors_origin){.before = kept, .is_pattern = star != NULL};
  if (!star) return;
  origin->before.len = (size_t)(star - kept.data);
  origin->after = (struct slice){star + 1, kept.len - origin->before.len - 1};
}

struct cors *cors_create(const struct cors_options *options) {
  struct cors *cors = memory_alloc_zero(sizeof *cors);
  cors->origins = memory_alloc_zero((options->origin_count + 1) * sizeof *cors->origins);
  for (size_t i = 0; i < options->origin_count; i++) add_origin(cors, options->origins[i]);
  assert(!(cors->is_any_origin && options->credentials) && "the Fetch standard forbids it");
  cors->is_any_header = is_text(options->headers, "*");
  cors->credentials = options->credentials;
  cors->max_age_s = options->max_age_s;
  cors->methods = copy(options->methods);
  cors->headers =
      cors->is_any_header ? copy(options->headers) : join(SAFE_HEADERS, options->headers);
  cors->exposed = copy(options->exposed);
  return cors;
}

void cors_destroy(struct cors *cors) {
  if (!cors) return;
  for (size_t i = 0; i < cors->origin_count; i++) free((char *)cors->origins[i].before.data);
  free(cors->origins);
  free((char *)cors->methods.data);
  free((char *)cors->headers.data);
  free((char *)cors->exposed.data);
  free(cors);
}

bool cors_varies(const struct cors *cors) {
  return !cors->is_any_origin;
}

/* ---- requests ---- */

static bool fits(const struct cors_origin *rule, struct slice origin) {
  if (!rule->is_pattern) return field_equal(origin, rule->before);
  size_t fixed = rule->before.len + rule->after.len;
  if (origin.len <= fixed) return false;
  struct slice before = {origin.data, rule->before.len};
  struct slice labels = {origin.data + before.len, origin.len - fixed};
  struct slice after = {labels.data + labels.len, rule->after.len};
  return field_equal(before, rule->before) && field_equal(after, rule->after) && is_labels(labels);
}

/* The value of a field that is there exactly once. */
static bool find_only(const struct request *request, struct slice name, struct slice *value) {
  size_t at = request_find(request, name, 0);
  if (at == request->field_count) return false;
  *value = request_field_value(request, at);
  return request_find(request, name, at + 1) == request->field_count;
}

/* What Access-Control-Allow-Origin says to the request; false: nothing. */
static bool find_allowed(const struct cors *cors, const struct request *request,
                         struct slice *allowed) {
  if (cors->is_any_origin) {
    *allowed = FIELD_TEXT("*");
    return true;
  }
  if (!find_only(request, FIELD_TEXT("origin"), allowed)) return false;
  for (size_t i = 0; i < cors->origin_count; i++)
    if (fits(&cors->origins[i], *allowed)) return true;
  return false;
}

static void add_line(struct buffer *out, const char *name, struct slice value) {
  buffer_add_text(out, name);
  buffer_add(out, value.data, value.len);
  buffer_add(out, "\r\n", 2);
}

void cors_write_fields(const struct cors *cors, const struct request *request, struct buffer *out) {
  struct slice allowed;
  if (!find_allowed(cors, request, &allowed)) return;
  add_line(out, "Access-Control-Allow-Origin: ", allowed);
  if (cors->credentials) add_line(out, "Access-Control-Allow-Credentials: ", FIELD_TEXT("true"));
  if (cors->exposed.len > 0 && !cors_is_preflight(request))
    add_line(out, "Access-Control-Expose-Headers: ", cors->exposed);
}

bool cors_is_preflight(const struct request *request) {
  return request->method == METHOD_OPTIONS &&
         request_find(request, FIELD_TEXT("origin"), 0) < request->field_count &&
         request_find(request, FIELD_TEXT("access-control-request-method"), 0) <
             request->field_count;
}

/* Methods differ by case. */
static bool has_method(struct slice methods, struct slice method) {
  struct slice name;
  while (field_next_element(&methods, &name))
    if (name.len == method.len && memcmp(name.data, method.data, name.len) == 0) return true;
  return false;
}

/* Whether all the fields asked for are allowed; collects their names. */
static bool judge_headers(const struct cors *cors, const struct request *request,
                          struct buffer *names) {
  static const struct slice name = FIELD_INIT("access-control-request-headers");
  for (size_t i = request_find(request, name, 0); i < request->field_count;
       i = request_find(request, name, i + 1)) {
    struct slice list = request_field_value(request, i), element;
    while (field_next_element(&list, &element)) {
      if (!field_is_token(element)) return false;
      if (!cors->is_any_header && !field_has_element(cors->headers, element)) return false;
      if (names->len > 0) buffer_add_text(names, ", ");
      buffer_add(names, element.data, element.len);
    }
  }
  return true;
}

const char *cors_judge(const struct cors *cors, const struct request *request, struct buffer *out) {
  struct slice origin, method;
  struct buffer names = {0};
  if (!find_allowed(cors, request, &origin)) return "CORS: the origin is not allowed";
  if (!find_only(request, FIELD_TEXT("access-control-request-method"), &method) ||
      !has_method(cors->methods, method))
    return "CORS: the method is not allowed";
  if (!judge_headers(cors, request, &names)) {
    buffer_finish(&names);
    return "CORS: a request header is not allowed";
  }
  add_line(out, "Access-Control-Allow-Methods: ", cors->methods);
  if (!cors->is_any_header)
    add_line(out, "Access-Control-Allow-Headers: ", cors->headers);
  else if (names.len > 0)
    add_line(out, "Access-Control-Allow-Headers: ", (struct slice){names.data, names.len});
  buffer_printf(out, "Access-Control-Max-Age: %u\r\n", cors->max_age_s);
  if (cors->is_any_header) add_line(out, "Vary: ", FIELD_TEXT("Access-Control-Request-Headers"));
  buffer_finish(&names);
  return NULL;
}
