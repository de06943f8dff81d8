/* media_type.h - the media type of a file by the end of its name.
 *
 * One table of what the web is made of; a name that it does not have is
 * application/octet-stream. Types of text carry charset=utf-8. Does not look into files. */
#ifndef HTTP_MEDIA_TYPE_H
#define HTTP_MEDIA_TYPE_H

#include "base/base.h"

#include <stdbool.h>

struct media_type {
  struct slice extension; /* lower case, without the dot */
  struct slice type;      /* a value of Content-Type */
  bool is_packed;         /* compressed in itself: a content coding gains nothing */
};

/* [any thread] The type of a file called `name`, which may have directories before it. Never NULL.
 */
const struct media_type *media_type_find(struct slice name);

#endif
