/* notice.c - escaping a text for a page and for a header field.
 *
 * The text quotes the app's source, so it may be anything. */
#include "http/notice.h"

#include "http/field.h"
#include "http/response.h"

#include <stdlib.h>
#include <string.h>

enum { FIELD_TEXT_MAX = 500 };

#define BANNER_BEGIN                                                                               \
  "\n<div id=\"perilune-load-error\" style=\"position:fixed;z-index:2147483647;left:0;right:0;"    \
  "bottom:0;max-height:50%;overflow:auto;box-sizing:border-box;padding:12px 16px;margin:0;"        \
  "background:#7f1d1d;color:#fff;font:14px/1.5 monospace;white-space:pre-wrap;text-align:left\">"  \
  "<b>The app does not load. This is its last good version.</b>\n"
#define BANNER_END "</div>\n"

static void add_html(struct buffer *out, const char *text) {
  for (; *text; text++) {
    switch (*text) {
    case '<':
      buffer_add_text(out, "&lt;");
      break;
    case '>':
      buffer_add_text(out, "&gt;");
      break;
    case '&':
      buffer_add_text(out, "&amp;");
      break;
    case '"':
      buffer_add_text(out, "&quot;");
      break;
    default:
      buffer_add_byte(out, *text);
    }
  }
}

/* The first line, of characters that every client takes. */
static void add_first_line(struct buffer *out, const char *text) {
  for (size_t i = 0; i < FIELD_TEXT_MAX && text[i] && text[i] != '\n'; i++)
    buffer_add_byte(out, text[i] >= ' ' && text[i] <= '~' ? text[i] : '?');
}

struct notice *notice_create(const char *text) {
  struct notice *notice = memory_alloc_zero(sizeof *notice);
  buffer_add_text(&notice->field, "Cache-Control: no-store\r\nX-Perilune-Load-Error: ");
  add_first_line(&notice->field, text);
  buffer_add_text(&notice->field, "\r\n");
  buffer_add_text(&notice->html, BANNER_BEGIN);
  add_html(&notice->html, text);
  buffer_add_text(&notice->html, BANNER_END);
  return notice;
}

void notice_destroy(struct notice *notice) {
  if (!notice) return;
  buffer_finish(&notice->field);
  buffer_finish(&notice->html);
  free(notice);
}

static bool is_about_keeping(struct slice name) {
  return field_equal(name, FIELD_TEXT("cache-control")) || field_equal(name, FIELD_TEXT("etag")) ||
         field_equal(name, FIELD_TEXT("last-modified"));
}

void notice_add_field(const struct notice *notice, struct buffer *block) {
  struct buffer kept = {0};
  struct slice rest = {block->data, block->len};
  struct field_line line;
  while (field_next_line(&rest, &line))
    if (!is_about_keeping(line.name)) buffer_add(&kept, line.all.data, line.all.len);
  buffer_clear(block);
  buffer_add(block, kept.data, kept.len);
  buffer_add(block, notice->field.data, notice->field.len);
  buffer_finish(&kept);
}

bool notice_fits(int status, struct slice block) {
  static const char html[] = "text/html";
  struct field_line type, coding;
  if (!response_has_content(status) || status == 206) return false;
  if (field_find(block, FIELD_TEXT("content-encoding"), &coding)) return false;
  if (!field_find(block, FIELD_TEXT("content-type"), &type)) return false;
  return type.value.len >= sizeof html - 1 &&
         strncasecmp(type.value.data, html, sizeof html - 1) == 0;
}
