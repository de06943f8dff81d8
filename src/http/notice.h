/* notice.h - what responses carry while a newer version of the app does not load.
 *
 * Pages get a banner, all responses a header field with the first line; none is to be kept by
 * clients. Used while an app is being developed, never else. Pure: text goes in, bytes come out. */
#ifndef HTTP_NOTICE_H
#define HTTP_NOTICE_H

#include "base/base.h"
#include "base/buffer.h"

#include <stdbool.h>

struct notice {
  struct buffer field; /* encoded, "X-Perilune-Load-Error: ...\r\n" */
  struct buffer html;
};

/* [any thread] Made of an error's text; the caller owns it. */
struct notice *notice_create(const char *text);

/* [any thread] Frees it; accepts NULL. */
void notice_destroy(struct notice *notice);

/* [any thread] Adds the field to a response's, and lets nobody keep the response. */
void notice_add_field(const struct notice *notice, struct buffer *block);

/* [any thread] Whether a response with this head is a page that a banner can be added to. */
bool notice_fits(int status, struct slice block);

#endif
