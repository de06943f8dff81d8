/* settings.h - every setting of the process, in one table.
 *
 * Promises: SETTINGS is the only place that names a setting; struct settings, its defaults, the
 * checks, the texts of `--help` and the README are made from it. A value comes in as text (a flag,
 * the environment, conf.lua: lua/perilune/cli/settings.lua decides which one counts) and is kept
 * parsed, its unit in the field's name. Read-only once the workers run, so no lock.
 * Does not read the environment, files or the machine: "auto" stays 0 until server.c counts. */
#ifndef BASE_SETTINGS_H
#define BASE_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for any problem text of settings_set. */
#define SETTINGS_PROBLEM_BYTES 256

/* X(kind, field, name, default text, smallest, largest, unit, help)
 *
 * Smallest and largest count what the field holds: milliseconds for SECONDS, bytes for BYTES, the
 * length for TEXT. The unit of a CHOICE lists its values, the field holds their index. The help
 * says what the setting is; behind the ";" what happens when it is reached. */
#define SETTINGS(X)                                                                                \
  X(TEXT, host, "host", "127.0.0.1", 1, 255, "address",                                            \
    "IP address or name to listen on; 0.0.0.0 is every interface, :: with IPv6 too")               \
  X(INTEGER, port, "port", "8080", 0, 65535, "",                                                   \
    "TCP port to listen on, 0 for a free one that the log names; when it is in use the start "     \
    "fails")                                                                                       \
  X(TEXT, unix_path, "unix", "", 0, 4095, "path",                                                  \
    "Unix socket to listen on; no TCP port is listened on then; a stale file of a server that is " \
    "gone is replaced")                                                                            \
  X(MODE, unix_mode, "unix-mode", "666", 0, 0777, "mode",                                          \
    "permissions of the Unix socket's file, in octal; who may not write to it cannot connect")     \
  X(INTEGER, backlog, "backlog", "4096", 1, 65535, "connections",                                  \
    "connections that wait to be accepted by one listening socket, at most net.core.somaxconn of " \
    "them; further ones are refused or made to try again by the kernel")                           \
  X(COUNT, workers, "workers", "auto", 1, 1024, "threads",                                         \
    "HTTP workers, each a thread with its own event loop and Lua state; auto is one for each "     \
    "core the process may use")                                                                    \
  X(TEXT, pid_file, "pid-file", "", 0, 4095, "path",                                               \
    "file to write the process id to; removed at the end")                                         \
  X(CHOICE, log_format, "log-format", "auto", 0, 0, "auto|text|json",                              \
    "form of the log on standard error: lines to read, or one JSON object on each line; auto is "  \
    "lines to read on a terminal, else JSON")                                                      \
  X(CHOICE, log_level, "log-level", "info", 0, 0, "debug|info|warn|error",                         \
    "least level that is logged; what is below it costs nothing")                                  \
  X(TEXT, access_log, "access-log", "off", 0, 4095, "path",                                        \
    "file that gets a line for each answered request, in the form of --log-format; - is standard " \
    "output, off is none; SIGUSR1 opens it again")                                                 \
  X(ENDPOINT, admin, "admin", "", 0, 262, "host:port",                                             \
    "address of the admin endpoint: GET /-/health and GET /-/metrics; none is no endpoint")        \
  X(NETWORKS, trusted_proxies, "trusted-proxies", "", 0, 4095, "addresses",                        \
    "proxies whose X-Forwarded-For, -Proto, -Host or Forwarded are believed: addresses and "       \
    "networks like 10.0.0.0/8 with commas between, unix for the peers of a Unix socket")           \
  X(CHOICE, proxy_fields, "proxy-fields", "auto", 0, 0, "auto|x-forwarded|forwarded",              \
    "which of their fields are believed; auto is Forwarded only where no X-Forwarded-* has come: " \
    "a proxy has to write, or remove, every field that is believed")                               \
  X(BYTES, header_bytes_max, "max-header-size", "16k", 256, 1 << 24, "bytes",                      \
    "all header fields of a request together; past it the answer is 431, then closed")             \
  X(INTEGER, headers_max, "max-headers", "100", 1, 10000, "fields",                                \
    "header fields of one request; a request with more is answered 431 and closed")                \
  X(BYTES, target_bytes_max, "max-target", "8k", 16, 1 << 24, "bytes",                             \
    "path and query of a request; a longer one is answered 414 and closed")                        \
  X(BYTES, body_bytes_max, "max-body", "10m", 0, INT64_C(1) << 40, "bytes",                        \
    "body of a request, unless the route has its own; a larger one is answered 413 and closed")    \
  X(INTEGER, pipeline_max, "max-pipeline", "64", 1, 100000, "requests",                            \
    "unanswered requests of one connection; further ones are not read until half are answered")    \
  X(SECONDS, header_timeout_ms, "header-timeout", "10", 1, SETTINGS_DAY_MS, "seconds",             \
    "from the first byte of a request to the end of its headers; then 408 and closed")             \
  X(SECONDS, body_timeout_ms, "body-timeout", "30", 1, SETTINGS_DAY_MS, "seconds",                 \
    "without a byte of an unfinished request body; then 408 and closed")                           \
  X(SECONDS, idle_timeout_ms, "idle-timeout", "75", 1, SETTINGS_DAY_MS, "seconds",                 \
    "that a connection is kept between requests; then closed")                                     \
  X(SECONDS, write_timeout_ms, "write-timeout", "30", 1, SETTINGS_DAY_MS, "seconds",               \
    "without the client taking a byte of its response; then the connection is closed")             \
  X(INTEGER, connections_max, "max-connections", "10000", 1, 10000000, "connections",              \
    "open connections of one HTTP worker; further ones wait until one is closed")                  \
  X(INTEGER, tasks_max, "max-tasks", "100000", 1, 100000000, "tasks",                              \
    "tasks of one worker that have not ended, spawned ones included; a further one raises kind "   \
    "\"full\"")                                                                                    \
  X(CHOICE, compress, "compress", "auto", 0, 0, "auto|off",                                        \
    "gzip and brotli for responses of text-like types above 1 KiB, when the client accepts them; " \
    "off leaves every response as it is")                                                          \
  X(BYTES_OR_OFF, memory_limit_bytes, "memory-limit", "1g", 1 << 23, INT64_C(1) << 40, "bytes",    \
    "memory of one Lua state; past it \"not enough memory\" is raised in that state")              \
  X(BYTES, shared_bytes_max, "shared-memory", "256m", 1 << 16, INT64_C(1) << 40, "bytes",          \
    "memory of all tables of perilune.shared together; past it what adds to them raises kind "     \
    "\"full\"")                                                                                    \
  X(SECONDS, drain_timeout_ms, "drain-timeout", "10", 0, SETTINGS_DAY_MS, "seconds",               \
    "that requests in flight get to end at shutdown; then they are cancelled")                     \
  X(SECONDS, shutdown_timeout_ms, "shutdown-timeout", "25", 0, SETTINGS_DAY_MS, "seconds",         \
    "for the whole shutdown; then what is left is interrupted and the exit code is 1")             \
  X(SECONDS_OR_OFF, stall_warn_ms, "stall-warn", "0.1", 1, SETTINGS_DAY_MS, "seconds",             \
    "that Lua code may hold an event loop; then its traceback is logged while it holds it")        \
  X(SECONDS_OR_OFF, stall_kill_ms, "stall-kill", "off", 1, SETTINGS_DAY_MS, "seconds",             \
    "that Lua code may hold an event loop; then an error is raised in it")                         \
  X(COUNT, pool_threads, "pool-threads", "auto", 1, 1024, "threads",                               \
    "threads of each pool for blocking functions, unless the app says; auto is cores + 4, at "     \
    "most 32")                                                                                     \
  X(INTEGER, pool_calls_max, "pool-queue", "10000", 1, 10000000, "calls",                          \
    "calls that wait for a thread of a pool, unless the app says; a further one raises kind "      \
    "\"full\", a route answers 503")                                                               \
  X(SECONDS, pool_idle_ms, "pool-idle", "30", 1, SETTINGS_DAY_MS, "seconds",                       \
    "that a thread of a pool is kept without a call; then it ends")

#define SETTINGS_DAY_MS (24 * 60 * 60 * 1000)

/* The first value of the choice. */
#define SETTINGS_COMPRESS_AUTO 0

enum setting_kind {
  SETTING_INTEGER,        /* a whole number */
  SETTING_COUNT,          /* a whole number or "auto", held as 0 */
  SETTING_TEXT,           /* owned by the settings, never NULL */
  SETTING_SECONDS,        /* "10", "0.5", "2s", "100ms"; rounded up to milliseconds */
  SETTING_SECONDS_OR_OFF, /* "off" is held as 0 */
  SETTING_BYTES,          /* "65536", "64k", "10m", "1g" */
  SETTING_BYTES_OR_OFF,   /* "off" is held as 0 */
  SETTING_CHOICE,         /* the index into the values that the unit lists */
  SETTING_MODE,           /* permissions of a file, octal */
  SETTING_ENDPOINT,       /* a text like "127.0.0.1:80", "[::1]:80" or "" */
  SETTING_NETWORKS,       /* a text that address_list_parse takes */
};

#define SETTINGS_TYPE_INTEGER        int
#define SETTINGS_TYPE_COUNT          int
#define SETTINGS_TYPE_TEXT           char *
#define SETTINGS_TYPE_SECONDS        int64_t
#define SETTINGS_TYPE_SECONDS_OR_OFF int64_t
#define SETTINGS_TYPE_BYTES          size_t
#define SETTINGS_TYPE_BYTES_OR_OFF   size_t
#define SETTINGS_TYPE_CHOICE         int
#define SETTINGS_TYPE_MODE           int
#define SETTINGS_TYPE_ENDPOINT       char *
#define SETTINGS_TYPE_NETWORKS       char *

struct settings {
#define SETTINGS_FIELD(kind, field, ...) SETTINGS_TYPE_##kind field;
  SETTINGS(SETTINGS_FIELD)
#undef SETTINGS_FIELD
};

/* One row of the table. */
struct setting {
  enum setting_kind kind;
  const char *name;         /* of the flag, without the dashes */
  const char *default_text; /* as a user would write it */
  const char *unit;         /* "" where there is none; the values of a choice, "|" between them */
  const char *help;         /* one sentence */
  int64_t smallest, largest;
  size_t offset; /* of the field in struct settings */
};

/* [owner] Every setting at its default; settings_finish gives the memory back. */
void settings_init(struct settings *settings);

/* [owner] Frees the texts and leaves zeros; accepts NULL and zeroed settings. */
void settings_finish(struct settings *settings);

/* [owner] Parses `text` into the setting called `name`. False: nothing has changed, and `problem`
 * (`size` bytes, SETTINGS_PROBLEM_BYTES are enough) says why in one line that starts with the
 * flag: `--port: "abc" is not a whole number from 0 to 65535`. */
bool settings_set(struct settings *settings, const char *name, const char *text, char *problem,
                  size_t size);

/* [any thread] Parses the text of a number of bytes ("65536", "64k", "20m", "1g"), and of a mode
 * ("644"). */
bool settings_parse_bytes(const char *text, int64_t *value);
bool settings_parse_mode(const char *text, int64_t *value);

/* [any thread] The row of `name`, or NULL. */
const struct setting *settings_find(const char *name);

/* [any thread] The row behind `row`, in the order of the table: the first for NULL, NULL behind
 * the last. */
const struct setting *settings_next(const struct setting *row);

/* [any thread] The row whose name is most like an unknown one (fewest letters to change). */
const struct setting *settings_nearest(const char *name);

/* [any thread] The kind in words: "integer", "count", "text", "seconds", "seconds or off", ... */
const char *settings_kind_name(enum setting_kind kind);

#endif
