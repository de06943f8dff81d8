/* made_request.h - requests put together from lines of text, for specs of pure code.
 *
 * Included by one spec file each, so everything is static. Lines are "Name: value", with "\n"
 * between them; nothing is checked. */
#ifndef SPEC_MADE_REQUEST_H
#define SPEC_MADE_REQUEST_H

#include "http/request.h"

#include <stdlib.h>
#include <string.h>

enum { MADE_FIELDS_MAX = 16 };

/* The caller gives it to request_finish. */
static struct request make_request(enum method method, const char *lines) {
  struct request request = {.method = method, .minor = 1};
  request.fields = memory_alloc(MADE_FIELDS_MAX * sizeof *request.fields);
  buffer_add_text(&request.head, lines);
  for (const char *at = lines; *at;) {
    size_t len = strcspn(at, "\n"), name_len = strcspn(at, ":");
    uint32_t start = (uint32_t)(at - lines);
    size_t gap = name_len + strlen(": ");
    request.fields[request.field_count++] =
        (struct request_field){.name_at = start,
                               .name_len = (uint32_t)name_len,
                               .value_at = start + (uint32_t)gap,
                               .value_len = (uint32_t)(len > gap ? len - gap : 0)};
    at += len;
    if (*at) at++;
  }
  return request;
}

#endif
