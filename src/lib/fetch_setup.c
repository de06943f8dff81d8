/* fetch_setup.c - options of curl's easy handle.
 *
 * curl's own limits of time are off (those of fetch.c count), it knows no protocol but HTTP, also
 * after redirects, and it sends no signals. */
#include "lib/fetch_setup.h"

#include "http/media_type.h"
#include "lib/fetch_file.h"
#include "lib/fetch_flow.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

/* curl's limit for a connection cannot be switched off. */
#define CURL_CONNECT_TIMEOUT_MS (1000L * 3600 * 24)

enum { MEDIA_TYPE_BYTES = 128 };

/* ---- the URL ---- */

/* Method and URL without user, password, query and fragment. */
static void make_label(struct fetch *fetch, CURLU *parts) {
  static const CURLUPart secret[] = {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                                     CURLUPART_QUERY, CURLUPART_FRAGMENT};
  char *text = NULL;
  for (size_t i = 0; i < array_len(secret); i++) curl_url_set(parts, secret[i], NULL, 0);
  curl_url_get(parts, CURLUPART_URL, &text, 0);
  buffer_printf(&fetch->label, "%s %s", fetch->request.method, text ? text : "?");
  buffer_add_byte(&fetch->label, '\0');
  curl_free(text);
}

static bool is_http(CURLU *parts) {
  char *scheme = NULL;
  curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0);
  bool http = scheme && (strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0);
  curl_free(scheme);
  return http;
}

CURLcode fetch_setup_url(struct fetch *fetch, const char *url, const char *query,
                         const char **problem) {
  CURLU *parts = curl_url();
  if (!parts) return CURLE_OUT_OF_MEMORY;
  CURLcode code = CURLE_OK;
  CURLUcode bad = curl_url_set(parts, CURLUPART_URL, url, CURLU_URLENCODE | CURLU_ALLOW_SPACE);
  if (!bad && *query) bad = curl_url_set(parts, CURLUPART_QUERY, query, CURLU_APPENDQUERY);
  if (!bad) bad = curl_url_get(parts, CURLUPART_URL, &fetch->url, 0);
  if (bad) {
    code = bad == CURLUE_OUT_OF_MEMORY ? CURLE_OUT_OF_MEMORY : CURLE_URL_MALFORMAT;
    *problem = curl_url_strerror(bad);
  } else if (!is_http(parts)) {
    code = CURLE_UNSUPPORTED_PROTOCOL;
    *problem = "neither http nor https";
  } else {
    make_label(fetch, parts);
  }
  curl_url_cleanup(parts);
  return code;
}

/* ---- headers and parts ---- */

bool fetch_setup_header(struct fetch *fetch, const char *line) {
  struct curl_slist *longer = curl_slist_append(fetch->headers, line);
  if (longer) fetch->headers = longer;
  return longer;
}

/* As curl does for files that it reads itself. */
static CURLcode describe_file(curl_mimepart *made, const struct fetch_part *part) {
  const char *slash = strrchr(part->path, '/');
  const char *name = part->filename ? part->filename : slash ? slash + 1 : part->path;
  CURLcode code = curl_mime_filename(made, name);
  if (code || part->content_type) return code;
  struct slice type = media_type_find((struct slice){name, strlen(name)})->type;
  char text[MEDIA_TYPE_BYTES];
  const char *end = memchr(type.data, ';', type.len); /* its charset is not known */
  size_t len = end ? (size_t)(end - type.data) : type.len;
  assert(len < sizeof text);
  memcpy(text, type.data, len);
  text[len] = '\0';
  return curl_mime_type(made, text);
}

bool fetch_setup_part(struct fetch *fetch, const struct fetch_part *part) {
  if (!fetch->parts) fetch->parts = curl_mime_init(fetch->easy);
  curl_mimepart *made = fetch->parts ? curl_mime_addpart(fetch->parts) : NULL;
  if (!made) return false;
  CURLcode code = curl_mime_name(made, part->name);
  if (!code && part->path) code = describe_file(made, part);
  if (!code && !part->path) code = curl_mime_data(made, part->data.data, part->data.len);
  if (!code && !part->path && part->filename) code = curl_mime_filename(made, part->filename);
  if (!code && part->content_type) code = curl_mime_type(made, part->content_type);
  if (!code && part->path) fetch_file_add(fetch, made, part->path);
  return !code;
}

/* ---- rules ---- */

/* A text, unless it is NULL. */
static CURLcode set_text(CURL *easy, CURLoption option, const char *text) {
  return text ? curl_easy_setopt(easy, option, text) : CURLE_OK;
}

CURLcode fetch_setup_trust(struct fetch *fetch, bool verify, const char *file, const char *path) {
  CURLcode code = curl_easy_setopt(fetch->easy, CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  if (!code) code = curl_easy_setopt(fetch->easy, CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  /* Authorities that are named are the only ones. */
  if (!code && path && !file) code = curl_easy_setopt(fetch->easy, CURLOPT_CAINFO, NULL);
  if (!code && file && !path) code = curl_easy_setopt(fetch->easy, CURLOPT_CAPATH, NULL);
  if (!code) code = set_text(fetch->easy, CURLOPT_CAINFO, file);
  if (!code) code = set_text(fetch->easy, CURLOPT_CAPATH, path);
  return code;
}

CURLcode fetch_setup_unix_socket(struct fetch *fetch, const char *path) {
  return curl_easy_setopt(fetch->easy, CURLOPT_UNIX_SOCKET_PATH, path);
}

/* The set_ functions give 0, or some of the bits of curl's error codes. */
static unsigned set_body(struct fetch *fetch) {
  CURL *easy = fetch->easy;
  switch (fetch->request.body) {
  case FETCH_BODY_PARTS:
    return curl_easy_setopt(easy, CURLOPT_MIMEPOST, fetch->parts);
  case FETCH_BODY_PIECES:
    return curl_easy_setopt(easy, CURLOPT_POST, 1L) |
           curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                            (curl_off_t)fetch->request.pieces_bytes);
  case FETCH_BODY_BYTES:
  case FETCH_BODY_NONE:
    break;
  }
  return curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->sent.len) |
         curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->sent.len ? fetch->sent.data : "");
}

static unsigned set_method(struct fetch *fetch) {
  CURL *easy = fetch->easy;
  const char *method = fetch->request.method;
  bool is_post = strcmp(method, "POST") == 0;
  bool sends = fetch->request.body != FETCH_BODY_NONE || is_post || strcmp(method, "PUT") == 0 ||
               strcmp(method, "PATCH") == 0;
  if (!sends && strcmp(method, "HEAD") == 0) return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
  if (!sends && strcmp(method, "GET") == 0) return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
  unsigned bad = sends ? set_body(fetch) : 0;
  if (is_post) return bad;
  /* Only POST becomes GET, without its body, at 301 and 302. */
  long kept = CURL_REDIR_POST_301 | CURL_REDIR_POST_302;
  bad |= curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
  return bad | curl_easy_setopt(easy, CURLOPT_POSTREDIR, kept);
}

static unsigned set_protocols(struct fetch *fetch) {
  CURL *easy = fetch->easy;
  bool is_secure = strncasecmp(fetch->url, "https:", strlen("https:")) == 0;
#if LIBCURL_VERSION_NUM >= 0x075500
  unsigned bad = curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  bad |= curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  unsigned bad = curl_easy_setopt(easy, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
  bad |= curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
  /* A first connection is waited for: if it speaks HTTP/2 others need none of their own. */
  return bad | curl_easy_setopt(easy, CURLOPT_PIPEWAIT, is_secure ? 1L : 0L);
}

static unsigned set_rules(struct fetch *fetch, const char *no_proxy) {
  CURL *easy = fetch->easy;
  long redirects_max = fetch->request.redirects_max;
  unsigned bad = curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  bad |= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, CURL_CONNECT_TIMEOUT_MS);
  bad |= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, redirects_max > 0 ? 1L : 0L);
  bad |= curl_easy_setopt(easy, CURLOPT_MAXREDIRS, redirects_max);
#if LIBCURL_VERSION_NUM >= 0x075700
  /* A request dropped while its name is looked up leaves that thread behind, which ends by itself;
   * curl would wait for it on the event loop. */
  bad |= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  bad |= curl_easy_setopt(easy, CURLOPT_USERAGENT, "perilune/" PERILUNE_VERSION);
  bad |= curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, ""); /* all that curl can decode */
  bad |= curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  return bad | curl_easy_setopt(easy, CURLOPT_NOPROXY, no_proxy);
}

bool fetch_setup_apply(struct fetch *fetch, const char *no_proxy) {
  unsigned bad = set_method(fetch);
  bad |= set_protocols(fetch);
  bad |= set_rules(fetch, no_proxy);
  bad |= fetch_flow_set(fetch);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_PRIVATE, fetch);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_ERRORBUFFER, fetch->problem);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_HTTPHEADER, fetch->headers);
  bad |= curl_easy_setopt(fetch->easy, CURLOPT_URL, fetch->url);
  return bad == 0;
}
