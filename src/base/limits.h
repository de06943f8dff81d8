/* limits.h - every fixed limit: its number, its unit, and what happens when it is hit.
 *
 * Limits a user may set are settings (settings.h) with their defaults there; the numbers here are
 * part of the design. Those that users can meet are in one table, LIMITS, which `serve --help` and
 * the README are made from as well; behind it come those that nobody sees. Limits of scheduling and
 * reuse have a second number for the stress build (stress.h). */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "base/stress.h"

/* X(name, number, unit, what)
 *
 * What: the words behind the number and the unit; behind the ";" what happens past it. */
#define LIMITS(X)                                                                                  \
  X(PATTERN_BYTES_MAX, 1024, "bytes", "of a route's pattern; longer is an error at load")          \
  X(PATTERN_PARAMS_MAX, 16, "parameters", "of one pattern; more are an error at load")             \
  X(CONVERTED_BYTES_MAX, 128, "bytes",                                                             \
    "of a segment that may convert to an int, float or uuid, as it was sent; a longer one does "   \
    "not match")                                                                                   \
  X(CHUNK_EXTRA_BYTES_MAX, 16 * 1024, "bytes",                                                     \
    "of all trailers and chunk extensions of one request; more: 431")                              \
  X(BODY_PAUSE_BYTES, STRESSED(64 * 1024, 1024), "bytes",                                          \
    "of a streamed request body that wait for their reader; then the socket is not read")          \
  X(STREAM_PAUSE_BYTES, STRESSED(64 * 1024, 4096), "bytes",                                        \
    "of a streamed response that wait in the server; then its writer waits")                       \
  X(LINGER_MS, 2000, "ms",                                                                         \
    "that a connection reads and drops what still comes after its last response, so that this is " \
    "not lost to a reset; then it is closed")                                                      \
  X(FORM_FIELDS_MAX, 1000, "fields", "of an urlencoded form; more: 413")                           \
  X(FORM_PARTS_MAX, 1000, "parts", "of a multipart form; more: 413")                               \
  X(FORM_NAME_BYTES_MAX, 1024, "bytes",                                                            \
    "of the name of a field, and of a file name, in a form; longer: 413")                          \
  X(FORM_PART_HEAD_BYTES_MAX, 8 * 1024, "bytes",                                                   \
    "of the header of one part of a multipart form; more: 413")                                    \
  X(FORM_TEXT_BYTES_MAX, 16 * 1024 * 1024, "bytes",                                                \
    "of all text fields of one form together; more: 413")                                          \
  X(FORM_PART_BYTES_MAX, 1024 * 1024, "bytes",                                                     \
    "of one file of a form that are kept in memory; a larger one goes to a temporary file")        \
  X(FORM_MEMORY_BYTES_MAX, 4 * 1024 * 1024, "bytes",                                               \
    "of all files of one form that are kept in memory; further ones go to temporary files")        \
  X(RANGES_MAX, 16, "ranges", "of one Range field; with more the whole file is sent")              \
  X(COOKIE_BYTES_MAX, 4096, "bytes",                                                               \
    "of a cookie, name and encoded value; a longer one is an error of the caller")                 \
  X(COOKIE_SECRET_BYTES_MIN, 16, "bytes",                                                          \
    "of a secret that signs cookies, at least; a shorter one is an error of the caller")           \
  X(COMPRESS_BYTES_MIN, 1024, "bytes",                                                             \
    "of a body from which on it is compressed; less is sent as it is")                             \
  X(COMPRESS_WRITE_BYTES_MAX, 256 * 1024, "bytes",                                                 \
    "of one write that a streamed response compresses; of a larger one nothing is compressed")     \
  X(FILE_ENCODE_BYTES_MAX, 1024 * 1024, "bytes",                                                   \
    "of a file that is compressed for who asks for it; a larger one is sent as it is")             \
  X(FILE_ENCODED_BYTES_MAX, 8 * 1024 * 1024, "bytes",                                              \
    "of compressed files that a worker keeps; then what was not asked for longest goes")           \
  X(LINE_WRITER_BYTES_MAX, 2 * 1024 * 1024, "bytes",                                               \
    "of the access log that wait while its pipe is full or its disk slow; further lines are "      \
    "dropped and counted")                                                                         \
  X(CHANNEL_CAPACITY_MAX, 10000000, "values",                                                      \
    "that a channel may be made to hold; more is an error of the caller")                          \
  X(SEMAPHORE_PERMITS_MAX, 1000000000, "permits",                                                  \
    "that a semaphore may be made with; more is an error of the caller")                           \
  X(INTERRUPT_GRACE_MS, 1000, "ms",                                                                \
    "that `<close>` handlers run after an interruption, and that a cancelled scope may swallow "   \
    "its cancellation; then Lua code is interrupted again")                                        \
  X(SHUTDOWN_GRACE_MS, INTERRUPT_GRACE_MS + 500, "ms",                                             \
    "that what is left past --shutdown-timeout takes to end, once it is interrupted; then the "    \
    "process ends")                                                                                \
  X(TASK_KEPT_MS, STRESSED(300000, 20), "ms",                                                      \
    "that a task whose id is known is found after its end; then it is forgotten")                  \
  X(TASKS_KEPT_MAX, STRESSED(100000, 50), "tasks",                                                 \
    "that have ended and can be found, in one Lua state; the oldest are forgotten first")          \
  X(SHIELDED_TASKS_WARN, 1000, "tasks",                                                            \
    "of one worker that are shielded and have not ended; with more the log warns")                 \
  X(DEADLOCK_MS, 1000, "ms",                                                                       \
    "that everything in a spec waits for another task; then it fails, and says who waits for "     \
    "what")                                                                                        \
  X(POOLS_MAX, 64, "pools",                                                                        \
    "of one app, `default` and `tasks` included; more are an error at load")                       \
  X(POOL_THREADS_MAX, 1024, "threads",                                                             \
    "that an app may ask for in one pool; more is an error at load")                               \
  X(POOL_CALLS_MAX, 10000000, "calls",                                                             \
    "that an app may let wait for one pool; more is an error at load")                             \
  X(POOL_LOST_MAX, 8, "threads",                                                                   \
    "of one pool that are stuck in C and replaced by others; with more of them calls wait, and "   \
    "the log says so")                                                                             \
  X(BACKGROUND_CALLS_MAX, 10000, "calls",                                                          \
    "of one background loop that have not ended, unless the function says; a further one raises "  \
    "kind \"full\"")                                                                               \
  X(TRANSFER_DEPTH_MAX, 200, "levels",                                                             \
    "of tables, and of functions in upvalues, that go from one Lua state to another; deeper "      \
    "raises kind \"transfer\"")                                                                    \
  X(TRANSFER_BYTES_MAX, 2047 * 1024 * 1024, "bytes",                                               \
    "of one message between Lua states; a larger one raises kind \"transfer\"")                    \
  X(INDEX_ENTRIES_MAX, 1000, "entries",                                                            \
    "of a table in which functions of the app are looked for when it has loaded; a larger one is " \
    "taken for data")                                                                              \
  X(MEMORY_FULL_PERCENT, 95, "percent",                                                            \
    "of --memory-limit that a Lua state may fill right after a collection; above it \"not enough " \
    "memory\" is raised")                                                                          \
  X(LOG_FIELDS_MAX, 64, "fields", "of one line of the log; more are an error of the caller")       \
  X(LOG_DEPTH_MAX, 8, "levels",                                                                    \
    "of a table in a line of the log; what is deeper is cut, and \"...\" says so")                 \
  X(LOG_ITEMS_MAX, 64, "items",                                                                    \
    "of one table in a line of the log; further ones are cut, and \"...\" says so")                \
  X(LOG_TABLE_BYTES_MAX, 8 * 1024, "bytes",                                                        \
    "of a table in a line of the log; what is beyond is cut, and \"...\" says so")                 \
  X(LOG_VALUE_BYTES_MAX, 16384, "bytes",                                                           \
    "of one value or message in a line of the log; a longer one is cut, and \"...[+N bytes]\" "    \
    "says so")                                                                                     \
  X(LOG_BYTES_MAX, STRESSED(1024 * 1024, 64 * 1024), "bytes",                                      \
    "of the log that wait while nobody reads it; further lines are dropped and counted")           \
  X(JSON_DEPTH_MAX, 1000, "levels",                                                                \
    "of arrays and objects in JSON, an empty one inside not counted; deeper raises kind \"json\"") \
  X(JSON_TEXT_BYTES_MAX, 512 * 1024 * 1024, "bytes",                                               \
    "of one JSON text, read or written; a longer one raises kind \"json\"")                        \
  X(HTTP_TIMEOUT_MS, 30000, "ms",                                                                  \
    "for a whole response of perilune.http, unless told; then kind \"timeout\" is raised")         \
  X(HTTP_CONNECT_TIMEOUT_MS, 10000, "ms",                                                          \
    "for its connection, unless told; then kind \"timeout\" is raised")                            \
  X(HTTP_STREAM_IDLE_MS, 60000, "ms",                                                              \
    "without a byte of a streamed response of it, unless told; then kind \"timeout\" is raised")   \
  X(HTTP_RESPONSE_BYTES_MAX, 64 * 1024 * 1024, "bytes",                                            \
    "of the decoded body of a response of it, unless told; more is kind \"http\"")                 \
  X(HTTP_RESPONSE_HEAD_BYTES_MAX, 256 * 1024, "bytes",                                             \
    "of the header lines of a response of it; more is kind \"http\"")                              \
  X(HTTP_REDIRECTS_MAX, 20, "redirects",                                                           \
    "that it follows when asked to; one more is kind \"http\"")                                    \
  X(HTTP_RUNNING_MAX, 1024, "requests",                                                            \
    "of it at once in one Lua state, and of half the process's descriptors at most; further ones " \
    "wait")                                                                                        \
  X(HTTP_CONNECTIONS_KEPT_MAX, STRESSED(256, 2), "connections",                                    \
    "that it keeps idle in one Lua state; then the oldest is closed")                              \
  X(FS_READ_BYTES_MAX, 256 * 1024 * 1024, "bytes",                                                 \
    "that one call of perilune.fs reads into a string, unless told; more: kind \"fs\", code "      \
    "\"EFBIG\"")                                                                                   \
  X(FS_LINE_BYTES_MAX, STRESSED(16 * 1024 * 1024, 128 * 1024), "bytes",                            \
    "of a line that a file's handle reads; a longer one: kind \"fs\", code \"EFBIG\"")             \
  X(FS_NAMES_MAX, 1000000, "names",                                                                \
    "that fs.list gives, and that fs.watch remembers; more: kind \"fs\", code \"EFBIG\"")          \
  X(FS_DEPTH_MAX, 200, "levels",                                                                   \
    "of directories that are removed at once; deeper: kind \"fs\", code \"ENAMETOOLONG\"")         \
  X(PROCESS_OUTPUT_BYTES_MAX, 64 * 1024 * 1024, "bytes",                                           \
    "that a program writes to standard output, and as many to standard error, unless told; then "  \
    "it is killed and kind \"process\" raised")                                                    \
  X(PROCESS_LINGER_MS, 1000, "ms",                                                                 \
    "that the outputs of a program which has ended are read while others hold them open; then "    \
    "these are killed, if they are of its process group")                                          \
  X(CRYPTO_RANDOM_BYTES_MAX, 1024 * 1024, "bytes",                                                 \
    "of one crypto.random; more is an error of the caller")                                        \
  X(PASSWORD_BYTES_MAX, 4096, "bytes",                                                             \
    "of a password; a longer one is an error of the caller, and matches no hash")                  \
  X(PASSWORD_MEMORY_BYTES_MAX, 256 * 1024 * 1024, "bytes",                                         \
    "of memory that hashing one password takes; a hash that asks for more is kind \"crypto\"")     \
  X(SHARED_TABLES_MAX, 1000, "tables",                                                             \
    "of perilune.shared in one app; more are an error of the caller")                              \
  X(SHARED_NAME_BYTES_MAX, 255, "bytes",                                                           \
    "of the name of such a table; a longer one is an error of the caller")                         \
  X(SHARED_KEY_BYTES_MAX, 8192, "bytes", "of a key in it; a longer one is an error of the caller") \
  X(SHARED_UPDATES_MAX, STRESSED(10000, 1000), "calls",                                            \
    "of the function of one shared:update, because the value was changed meanwhile; then kind "    \
    "\"conflict\" is raised")                                                                      \
  X(TOPICS_MAX, 100000, "topics",                                                                  \
    "that are in use in one app at once; another one raises kind \"full\"")                        \
  X(TOPIC_NAME_BYTES_MAX, 1024, "bytes",                                                           \
    "of the name of a topic; a longer one is an error of the caller")                              \
  X(TOPIC_BUFFER_DEFAULT, 100, "messages",                                                         \
    "that a subscription buffers, unless told; then the oldest goes, or it ends with kind "        \
    "\"overflow\"")                                                                                \
  X(TOPIC_BUFFER_MAX, 1000000, "messages",                                                         \
    "that it may be made to buffer; more is an error of the caller")                               \
  X(SQLITE_READERS, 4, "threads", "that read from one database, unless told")                      \
  X(SQLITE_READERS_MAX, 64, "threads",                                                             \
    "that it may be opened with; more is an error of the caller")                                  \
  X(SQLITE_JOBS_MAX, 100000, "jobs",                                                               \
    "that wait for the threads of one database; a further one raises kind \"full\"")               \
  X(SQLITE_STATEMENTS, STRESSED(100, 1), "statements",                                             \
    "that one connection keeps prepared, unless told; then the one that was used longest ago "     \
    "goes")                                                                                        \
  X(SQLITE_STATEMENTS_MAX, 10000, "statements",                                                    \
    "that it may be told to keep; more is an error of the caller")                                 \
  X(SQLITE_BUSY_TIMEOUT_MS, 5000, "ms",                                                            \
    "that a database waits for another process's lock, unless told; then it fails with "           \
    "SQLITE_BUSY")                                                                                 \
  X(SQLITE_CURSORS_MAX, 100, "iterators",                                                          \
    "over rows that are open on one database; a further one raises kind \"full\"")                 \
  X(SQLITE_RESULT_BYTES_MAX, 256 * 1024 * 1024, "bytes",                                           \
    "of all rows of one query; more is an error that names db:rows")                               \
  X(SQLITE_SQL_BYTES_MAX, 64 * 1024 * 1024, "bytes", "of one SQL text; a longer one is an error")

#define LIMITS_CONSTANT(name, number, unit, what) name = (number),
enum { LIMITS(LIMITS_CONSTANT) };
#undef LIMITS_CONSTANT

/* Resumes of fibers in one turn of a worker; the rest wait for the next turn, after I/O. */
#define TURN_RESUMES_MAX STRESSED(1024, 3)

/* Operations that need not wait (sending to a channel with room, taking a free lock) which a fiber
 * does in one resume; the next one lets others run first. */
#define OPERATIONS_MAX STRESSED(128, 2)

/* Slots of its table that an empty channel keeps for the next values; a larger table is freed. */
#define CHANNEL_SLOTS_KEPT_MAX STRESSED(1024, 1)

/* Idle coroutines kept for reuse in one Lua state; more are left to the garbage collector. */
#define IDLE_COROUTINES_MAX STRESSED(1024, 2)

/* Fibers waiting for each other, one inside the other, up to which deadlines of the outermost reach
 * code that the innermost computes; further ones reach it at its waits only. */
#define SCOPES_AROUND_MAX 1000

/* Bytes of the traceback that an error has brought from elsewhere; a longer one is not carried on:
 * an error raised again and again (a table kept for that) would gather all its ways for ever. */
#define TRAIL_BYTES_MAX (16 * 1024)

/* Fibers that the report of a deadlock lists. */
#define DEADLOCK_ROWS_MAX 20

/* How often the watchdog looks while some worker runs Lua, and repeats an unanswered signal. */
#define WATCHDOG_TICK_MS 5

/* How often it looks while none does. */
#define WATCHDOG_IDLE_TICK_MS 50

/* How long a hook may not fire before code is called stuck in a C function, and is looked at by the
 * signal handler; and how long the caller of a function that is stuck waits, when its time is over,
 * for what that finds. */
#define STUCK_MS      50
#define STUCK_WAIT_MS 65

/* How long cancelled code has been stuck when the log tells that again; the next times twice as
 * long each. */
#define STUCK_REPORT_MS 5000

/* How often the log says that too many tasks are shielded, or that tasks were refused. */
#define TASKS_REPORT_MS 1000

/* Bytes of text that one worker keeps of the tasks that the end of the server cancels, and the
 * lines they were at; the table at the end has no more. */
#define TASKS_CANCELLED_AT_BYTES_MAX (16 * 1024)

/* Threads that a pool may have beyond its size, so that its queue goes on while threads of it wait
 * for another pool; with more of them waiting the pool runs fewer calls at once. */
#define POOL_REPLACEMENTS_MAX 1

/* How long a pool thread may be idle before it ends, whatever the setting says. */
#define POOL_IDLE_MS_MAX STRESSED(24 * 3600 * 1000, 20)

/* Priority of pool threads, as nice counts: computing threads do not keep the event loops from
 * running (with 16 of them on 2 cores a loop wakes up after 0.4 ms instead of 11 ms). */
#define POOL_NICE 19

/* Chunks of 64 KiB without a block in use that keep their memory in a Lua state's allocator; that
 * of more goes back to the system. */
#define SLAB_EMPTY_MAX STRESSED(16, 1)

/* What arrays and string buffers may take of a Lua state's memory beyond its limit, in percent of
 * it; above that their growth is refused, and the next new object is in any case. */
#define MEMORY_OVERSHOOT_PERCENT 12

/* How long a log line waits for a full pipe that does not block; then what is left of it is lost.
 */
#define LOG_WAIT_MS 1000

/* Memory that is kept for lines of the log that wait. */
#define LOG_KEEP_BYTES STRESSED(64 * 1024, 256)

/* Bytes of the log that are kept while a spec runs; then the oldest lines are forgotten. */
#define LOG_SPEC_BYTES STRESSED(256 * 1024, 64 * 1024)

/* How often a full log is looked at, and how long the end of the process waits for it. */
#define LOG_LOOK_MS  100
#define LOG_LEAVE_MS 1000

/* How long lines of the access log gather, or how many bytes, before they are written together; and
 * the memory that is kept for it. */
#define LINE_WRITER_GATHER_MS   50
#define LINE_WRITER_HASTE_BYTES STRESSED(64 * 1024, 256)
#define LINE_WRITER_KEEP_BYTES  STRESSED(256 * 1024, 256)

/* How often a full pipe is looked at, and how often the log is told of dropped lines. */
#define LINE_WRITER_LOOK_MS   100
#define LINE_WRITER_REPORT_MS 1000

/* How long the end of the server waits for a full pipe; then what is left is dropped. */
#define LINE_WRITER_LEAVE_MS 1000

/* Connections that one listening socket accepts in a turn; more wait for the next. */
#define ACCEPTS_MAX STRESSED(256, 1)

/* How long a worker accepts nobody when it has no descriptors or memory for another connection, and
 * none of its own closes; and how often the log says so. */
#define ACCEPT_RETRY_MS  100
#define ACCEPT_REPORT_MS 1000

/* Bytes read from a socket at once, into one buffer that all connections of a worker share. */
#define INPUT_BYTES STRESSED(64 * 1024, 1000)

/* Unwritten bytes of one connection's output past which no further request of it is read. */
#define OUTPUT_PAUSE_BYTES STRESSED(1024 * 1024, 4096)

/* Bytes that a connection reads and drops after its last response; then it is closed. */
#define LINGER_BYTES_MAX (64 * 1024 * 1024)

/* Digits of a chunk's size, leading zeros included; more: 400. */
#define CHUNK_SIZE_DIGITS_MAX 16

/* Empty lines before a request that are ignored; more: 400. */
#define EMPTY_LINES_MAX 4

/* Bytes of one head that are good HTTP though the parser does not take them (a tab behind a length,
 * the digit of HTTP/1.2) and are rewritten, each by parsing the head again; more: 400. */
#define AMENDED_BYTES_MAX 8

/* Memory of a connection's body that is reserved when Content-Length announces it; more is
 * allocated as it comes. */
#define BODY_RESERVE_BYTES_MAX STRESSED(64 * 1024, 16)

/* Memory that a worker keeps for later instead of freeing it: connections, exchanges with their
 * head, body and response buffers up to a size, and output buffers up to a size. */
#define SPARE_CONNECTIONS_MAX   STRESSED(256, 1)
#define SPARE_EXCHANGES_MAX     STRESSED(2048, 1)
#define SPARE_REQUEST_BYTES_MAX STRESSED(8 * 1024, 64)
#define SPARE_OUTPUTS_MAX       STRESSED(128, 1)
#define SPARE_OUTPUT_BYTES_MAX  STRESSED(64 * 1024, 256)

/* Bodies up to so many bytes are compressed on the event loop, which takes half a millisecond;
 * larger ones on libuv's threads. */
#define COMPRESS_INLINE_BYTES_MAX STRESSED(32 * 1024, 1024)

/* Compressors that a worker keeps for such threads, about 300 KiB each. */
#define SPARE_COMPRESSORS_MAX STRESSED(4, 1)

/* A file that changed less than so many seconds ago is not kept: the clocks of file systems are
 * coarse, and it could change once more without its time telling. */
#define FILE_SETTLED_SECONDS 2

/* How often opening a file is tried again when directories are renamed meanwhile; then: 500. */
#define OPEN_TRIES_MAX 16

/* A file up to this size is read when it is looked up, and sent with its head in one write; a
 * larger one is sent from the kernel's cache. Bounds what a slow reader of files holds. */
#define FILE_MEMORY_BYTES_MAX STRESSED(12 * 1024, 64)

/* Bytes of a file that one connection sends in one turn; the rest waits for the next. */
#define FILE_TURN_BYTES_MAX STRESSED(1024 * 1024, 256 * 1024)

/* Bytes of a file that a thread reads at once when they are not in the kernel's cache. */
#define FILE_AHEAD_BYTES STRESSED(4 * 1024 * 1024, 16 * 1024)

/* Bytes of text for which a Lua state keeps its JSON memory from call to call; what a longer text
 * needed is freed after it. */
#define JSON_KEEP_BYTES_MAX STRESSED(256 * 1024, 64)

/* Bytes of a streamed response that wait for their reader before the socket is not read. */
#define HTTP_PAUSE_BYTES STRESSED(64 * 1024, 1024)

/* Bytes of a file that perilune.http reads at once, of one that it sends. */
#define HTTP_PIECE_BYTES STRESSED(128 * 1024, 100)

/* Redirects that perilune.http may be asked to follow. */
#define HTTP_REDIRECTS_ASKED_MAX 1000

/* Bytes of a method that perilune.http sends; a longer one is an error of the caller. */
#define HTTP_METHOD_BYTES_MAX 32

/* Bytes of the end of standard error that an error of perilune.process carries. */
#define PROCESS_TAIL_BYTES_MAX STRESSED(4096, 64)

/* Bytes of a temporary file that are written at once. */
#define FORM_BLOCK_BYTES STRESSED(256 * 1024, 4096)

/* Bytes that a handle reads ahead of a line or a small piece, and what it keeps of larger reads. */
#define FS_BLOCK_BYTES STRESSED(64 * 1024, 16)

/* Names that an iterator over a directory reads at once. */
#define FS_NAMES_AHEAD STRESSED(256, 2)

/* How long changes of watched files gather, so that several of one file become one. */
#define FS_WATCH_GATHER_MS 20

/* Bytes that perilune.crypto hashes on the event loop, which takes half a millisecond; more of them
 * are a job for libuv's threads, where the caller can wait. */
#define CRYPTO_INLINE_BYTES_MAX STRESSED(256 * 1024, 64)

/* Memory of hashing one password times its parallelism, which is the time; a hash that asks for
 * more: kind "crypto". And the cost of new ones, unless told: 32 MiB. */
#define PASSWORD_WORK_BYTES_MAX (1024ull * 1024 * 1024)
#define PASSWORD_LN             15

/* How often a database that waits for another process's lock looks. */
#define SQLITE_BUSY_LOOK_MS 10

/* How long the end of the process waits for databases that something still holds. */
#define SQLITE_LEAVE_MS 2000

/* Steps of SQLite's machine after which it is looked whether somebody still waits for a statement.
 */
#define SQLITE_PROGRESS_STEPS STRESSED(1000, 10)

/* Statements that share one transaction because they wait at the same time. */
#define SQLITE_GROUP_MAX STRESSED(256, 3)

/* Rows that such an iterator reads ahead, and bytes after which it stops to. */
#define SQLITE_BATCH_ROWS  STRESSED(256, 2)
#define SQLITE_BATCH_BYTES STRESSED(64 * 1024, 64)

#endif
