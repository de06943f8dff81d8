/* file_plan.h - what to send of a file that was found: status, fields, and which bytes.
 *
 * Pure: a request and what is known of the file go in, the head and the parts of the body come out.
 * The entity tag is strong: size, time of last change in nanoseconds and inode, in hexadecimal, so
 * it changes with every write and is another one for each content coding. What a coding makes of
 * the file, its length included, is the caller's to find out. */
#ifndef HTTP_FILE_PLAN_H
#define HTTP_FILE_PLAN_H

#include "base/base.h"
#include "base/buffer.h"
#include "http/lookup.h"
#include "http/range.h"
#include "http/request.h"

/* Bytes of the file, behind a text of their own when there are several parts. */
struct file_part {
  struct range range;
  size_t text_at, text_len; /* in plan.texts */
};

struct file_plan {
  int status;          /* that of the answer to come, or 206, 304, 412 (no body of the file), 416 */
  struct buffer block; /* the fields of the head */
  struct buffer texts; /* of multipart/byteranges: before each part, and at the end */
  struct file_part parts[RANGES_MAX];
  size_t part_count;      /* none of an empty file, and without a body */
  size_t end_text_len;    /* the last bytes of `texts`: behind the last part */
  uint64_t length;        /* of the body; before it is encoded, that of the file */
  enum encoding encoding; /* that the file is to be compressed with; 304: would be */
};

/* What a plan is made of. */
struct file_facts {
  const struct request *request;
  const struct lookup *lookup; /* LOOKUP_FOUND */
  int status;                  /* conditions and ranges count for 200 only */
  struct slice block;          /* the app's fields: they come before those that are made here */
  int64_t now_seconds;
  uint64_t boundary; /* a random number */
  bool may_encode;   /* the file may be compressed for who asks for it */
};

/* [any thread] Fills a zeroed plan. */
void file_plan_make(struct file_plan *plan, const struct file_facts *facts);

/* [any thread] Frees the memory; accepts a zeroed plan. */
void file_plan_finish(struct file_plan *plan);

#endif
