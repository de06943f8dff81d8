/* fetch_setup.h - what a fetch asks for: URL, headers, parts of a form, and the rules it goes by.
 *
 * Texts are copied. The handle is there (fetch_open) unless said. Nothing here touches Lua. */
#ifndef LIB_FETCH_SETUP_H
#define LIB_FETCH_SETUP_H

#include "lib/fetch.h"

/* A part of a multipart form. Texts end with NUL. */
struct fetch_part {
  const char *name;
  const char *path; /* of the file that is sent; NULL: data is */
  struct slice data;
  const char *filename;     /* NULL: that of path, or none */
  const char *content_type; /* NULL: guessed from the file's name */
};

/* [owner] Parses an http or https URL, escapes what must be, and appends `query` (encoded pairs,
 * may be empty); fetch.request.method is set. CURLE_OK, or why not: `problem` says it then (static
 * text). Needs no handle. */
CURLcode fetch_setup_url(struct fetch *fetch, const char *url, const char *query,
                         const char **problem);

/* [owner] Adds a header line as curl wants it ("Name: value", "Name;" for an empty value, "Name:"
 * for none at all). False without memory. Needs no handle. */
bool fetch_setup_header(struct fetch *fetch, const char *line);

/* [owner] Adds a part; its file is looked at when the request's turn has come. False without
 * memory. */
bool fetch_setup_part(struct fetch *fetch, const struct fetch_part *part);

/* [owner] Whether the server's certificate is verified, and by which authorities (a file, a
 * directory; NULL: those of the system). */
CURLcode fetch_setup_trust(struct fetch *fetch, bool verify, const char *file, const char *path);

/* [owner] Connects to a Unix socket instead of the URL's host. */
CURLcode fetch_setup_unix_socket(struct fetch *fetch, const char *path);

/* [owner] Sets all the rest before the request is sent (again). False without memory. */
bool fetch_setup_apply(struct fetch *fetch, const char *no_proxy);

#endif
