/* media_type.c - the table of media types, sorted by extension, and looking into it.
 *
 * Types as IANA has registered them, RFC 9239 for JavaScript; charset only where the type defines
 * the parameter. */
#include "http/media_type.h"

#include <stdlib.h>
#include <string.h>

enum { EXTENSION_BYTES_MAX = 16 };

#define ROW(name, value, packed)                                                                   \
  { {(name), sizeof(name) - 1}, {(value), sizeof(value) - 1}, (packed) }
#define TYPE(name, value)   ROW(name, value, false)
#define PACKED(name, value) ROW(name, value, true)

static const struct media_type types[] = {
    PACKED("3gp", "video/3gpp"),
    PACKED("7z", "application/x-7z-compressed"),
    PACKED("aac", "audio/aac"),
    PACKED("apk", "application/vnd.android.package-archive"),
    PACKED("apng", "image/apng"),
    TYPE("atom", "application/atom+xml"),
    PACKED("avi", "video/x-msvideo"),
    PACKED("avif", "image/avif"),
    TYPE("bin", "application/octet-stream"),
    TYPE("bmp", "image/bmp"),
    PACKED("br", "application/octet-stream"),
    PACKED("bz2", "application/x-bzip2"),
    TYPE("css", "text/css; charset=utf-8"),
    TYPE("csv", "text/csv; charset=utf-8"),
    TYPE("db", "application/vnd.sqlite3"),
    PACKED("deb", "application/vnd.debian.binary-package"),
    TYPE("dll", "application/octet-stream"),
    TYPE("dmg", "application/octet-stream"),
    TYPE("doc", "application/msword"),
    PACKED("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    TYPE("eot", "application/vnd.ms-fontobject"),
    TYPE("eps", "application/postscript"),
    PACKED("epub", "application/epub+zip"),
    TYPE("exe", "application/octet-stream"),
    PACKED("flac", "audio/flac"),
    TYPE("geojson", "application/geo+json"),
    PACKED("gif", "image/gif"),
    TYPE("glb", "model/gltf-binary"),
    TYPE("gltf", "model/gltf+json"),
    PACKED("gz", "application/gzip"),
    PACKED("heic", "image/heic"),
    TYPE("htm", "text/html; charset=utf-8"),
    TYPE("html", "text/html; charset=utf-8"),
    TYPE("ico", "image/vnd.microsoft.icon"),
    TYPE("ics", "text/calendar; charset=utf-8"),
    TYPE("img", "application/octet-stream"),
    TYPE("iso", "application/x-iso9660-image"),
    PACKED("jar", "application/java-archive"),
    PACKED("jpeg", "image/jpeg"),
    PACKED("jpg", "image/jpeg"),
    TYPE("js", "text/javascript; charset=utf-8"),
    TYPE("json", "application/json"),
    TYPE("jsonl", "application/x-ndjson"),
    TYPE("jsonld", "application/ld+json"),
    PACKED("jxl", "image/jxl"),
    TYPE("log", "text/plain; charset=utf-8"),
    TYPE("lua", "text/x-lua; charset=utf-8"),
    TYPE("m3u8", "application/vnd.apple.mpegurl"),
    PACKED("m4a", "audio/mp4"),
    PACKED("m4v", "video/mp4"),
    TYPE("map", "application/json"),
    TYPE("markdown", "text/markdown; charset=utf-8"),
    TYPE("md", "text/markdown; charset=utf-8"),
    TYPE("mid", "audio/midi"),
    TYPE("midi", "audio/midi"),
    TYPE("mjs", "text/javascript; charset=utf-8"),
    PACKED("mkv", "video/x-matroska"),
    PACKED("mov", "video/quicktime"),
    PACKED("mp3", "audio/mpeg"),
    PACKED("mp4", "video/mp4"),
    TYPE("mpd", "application/dash+xml"),
    PACKED("mpeg", "video/mpeg"),
    PACKED("mpg", "video/mpeg"),
    TYPE("ndjson", "application/x-ndjson"),
    PACKED("odp", "application/vnd.oasis.opendocument.presentation"),
    PACKED("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    PACKED("odt", "application/vnd.oasis.opendocument.text"),
    PACKED("oga", "audio/ogg"),
    PACKED("ogg", "audio/ogg"),
    PACKED("ogv", "video/ogg"),
    PACKED("opus", "audio/ogg"),
    TYPE("otf", "font/otf"),
    PACKED("pdf", "application/pdf"),
    PACKED("png", "image/png"),
    TYPE("ppt", "application/vnd.ms-powerpoint"),
    PACKED("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    TYPE("ps", "application/postscript"),
    PACKED("rar", "application/vnd.rar"),
    TYPE("rss", "application/rss+xml"),
    TYPE("rtf", "application/rtf"),
    TYPE("sql", "application/sql"),
    TYPE("sqlite", "application/vnd.sqlite3"),
    TYPE("stl", "model/stl"),
    TYPE("svg", "image/svg+xml"),
    PACKED("svgz", "image/svg+xml"),
    TYPE("tar", "application/x-tar"),
    TYPE("text", "text/plain; charset=utf-8"),
    PACKED("tgz", "application/gzip"),
    TYPE("tif", "image/tiff"),
    TYPE("tiff", "image/tiff"),
    TYPE("toml", "application/toml"),
    PACKED("ts", "video/mp2t"),
    TYPE("tsv", "text/tab-separated-values; charset=utf-8"),
    TYPE("ttf", "font/ttf"),
    TYPE("txt", "text/plain; charset=utf-8"),
    TYPE("vcf", "text/vcard; charset=utf-8"),
    TYPE("vtt", "text/vtt; charset=utf-8"),
    TYPE("wasm", "application/wasm"),
    TYPE("wav", "audio/wav"),
    PACKED("weba", "audio/webm"),
    PACKED("webm", "video/webm"),
    TYPE("webmanifest", "application/manifest+json"),
    PACKED("webp", "image/webp"),
    PACKED("woff", "font/woff"),
    PACKED("woff2", "font/woff2"),
    TYPE("xhtml", "application/xhtml+xml"),
    TYPE("xls", "application/vnd.ms-excel"),
    PACKED("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    TYPE("xml", "application/xml"),
    PACKED("xz", "application/x-xz"),
    TYPE("yaml", "application/yaml"),
    TYPE("yml", "application/yaml"),
    PACKED("zip", "application/zip"),
    PACKED("zst", "application/zstd"),
};

static const struct media_type unknown = TYPE("", "application/octet-stream");

static int compare(const void *key, const void *row) {
  return strcmp(key, ((const struct media_type *)row)->extension.data);
}

const struct media_type *media_type_find(struct slice name) {
  char extension[EXTENSION_BYTES_MAX + 1];
  size_t len = 0;
  while (len < name.len && name.data[name.len - 1 - len] != '.') len++;
  if (len == name.len || len > EXTENSION_BYTES_MAX) return &unknown;
  for (size_t i = 0; i < len; i++) {
    char byte = name.data[name.len - len + i];
    extension[i] = byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte;
  }
  extension[len] = '\0';
  const struct media_type *found =
      bsearch(extension, types, array_len(types), sizeof *types, compare);
  return found ? found : &unknown;
}
