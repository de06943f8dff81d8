/* limits.h - every fixed limit: its number, its unit, and what happens when it is hit.
 *
 * Limits a user may set are settings (settings.h) with their defaults there; the numbers here are
 * part of the design. Limits of scheduling and reuse, which nobody sees, have a second number for
 * the stress build (stress.h). */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include "base/stress.h"

/* Resumes of fibers in one turn of a worker; the rest wait for the next turn, after I/O. */
#define TURN_RESUMES_MAX STRESSED(1024, 3)

/* Operations that need not wait (sending to a channel with room, taking a free lock) which a fiber
 * does in one resume; the next one lets others run first. */
#define OPERATIONS_MAX STRESSED(128, 2)

/* Values that a channel may be made to hold, and permits of a semaphore; more are errors of the
 * caller. */
#define CHANNEL_CAPACITY_MAX  10000000
#define SEMAPHORE_PERMITS_MAX 1000000000

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

/* How long `<close>` handlers may run after an interruption, and a cancelled scope may swallow its
 * cancellation, before Lua code is interrupted (again). */
#define INTERRUPT_GRACE_MS 1000

/* How long every fiber of a spec run has to wait for another one before that is called a deadlock,
 * and how many of them its report lists. */
#define DEADLOCK_MS       1000
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

/* Shielded tasks of one worker that are not ended, past which the log warns: the shutdown waits for
 * each of them. And how often it says so, or that tasks were refused. */
#define SHIELDED_TASKS_WARN 1000
#define TASKS_REPORT_MS     1000

/* Bytes of text that one worker keeps of the tasks that the end of the server cancels, and the
 * lines they were at; the table at the end has no more. */
#define TASKS_CANCELLED_AT_BYTES_MAX (16 * 1024)

/* How long what is left past --shutdown-timeout may take to end once it is interrupted. */
#define SHUTDOWN_GRACE_MS (INTERRUPT_GRACE_MS + 500)

/* Fields of one log line written from Lua; more raise an error. */
#define LOG_FIELDS_MAX 64

/* How long a task whose id is known can still be found after its end, and how many of those that
 * have ended one Lua state keeps at most; the oldest are forgotten first. */
#define TASK_KEPT_MS   STRESSED(300000, 20)
#define TASKS_KEPT_MAX STRESSED(100000, 50)

/* What an app may ask for one pool: more is an error at load. */
#define POOL_THREADS_MAX 1024
#define POOL_CALLS_MAX   10000000

/* Pools of one app, `default` and `tasks` included: more is an error at load. */
#define POOLS_MAX 64

/* Threads that a pool may have beyond its size, so that its queue goes on while threads of it wait
 * for another pool; with more of them waiting the pool runs fewer calls at once. */
#define POOL_REPLACEMENTS_MAX 1

/* Threads of a pool that are stuck in C with a call that nobody waits for, and may be replaced by
 * others until they are back; with more of them calls wait, and the log says so. */
#define POOL_LOST_MAX 8

/* Unfinished calls of one background loop past which a function that names no other number is
 * refused: kind "full". */
#define BACKGROUND_CALLS_MAX 10000

/* How long a pool thread may be idle before it ends, whatever the setting says. */
#define POOL_IDLE_MS_MAX STRESSED(24 * 3600 * 1000, 20)

/* Priority of pool threads, as nice counts: computing threads do not keep the event loops from
 * running (with 16 of them on 2 cores a loop wakes up after 0.4 ms instead of 11 ms). */
#define POOL_NICE 19

/* Chunks of 64 KiB without a block in use that keep their memory in a Lua state's allocator; that
 * of more goes back to the system. */
#define SLAB_EMPTY_MAX STRESSED(16, 1)

/* Part of its memory limit, in percent, that a Lua state may fill right after a full collection;
 * above it, it counts as at its limit: "not enough memory" is raised. */
#define MEMORY_FULL_PERCENT 95

/* What arrays and string buffers may take of a Lua state's memory beyond its limit, in percent of
 * it; above that their growth is refused, and the next new object is in any case. */
#define MEMORY_OVERSHOOT_PERCENT 12

/* Nesting of tables, and of functions in upvalues, that may cross between Lua states; deeper raises
 * kind "transfer". */
#define TRANSFER_DEPTH_MAX 200

/* Bytes of one message between Lua states; larger raises kind "transfer". */
#define TRANSFER_BYTES_MAX (2048ull * 1024 * 1024)

/* Entries of a table in which the functions of an app, or of a module, are looked for when the app
 * has loaded; a larger one is taken for data and not looked into. */
#define INDEX_ENTRIES_MAX 1000

/* Bytes of a route's pattern; longer is an error at load. Bounds the depth of the route tree too.
 */
#define PATTERN_BYTES_MAX 1024

/* Parameters of one pattern; more are an error at load. */
#define PATTERN_PARAMS_MAX 16

/* Raw bytes of a segment that may convert to an int, float or uuid; a longer one does not match. */
#define CONVERTED_BYTES_MAX 128

/* Nesting, items of one table and bytes of a table that is a field of a log line; what is beyond is
 * cut, and "..." says so. */
#define LOG_DEPTH_MAX       8
#define LOG_ITEMS_MAX       64
#define LOG_TABLE_BYTES_MAX (8 * 1024)

/* Bytes of one value or message in a log line; a longer one is cut, and "...[+N bytes]" says so. */
#define LOG_VALUE_BYTES_MAX 16384

/* How long a log line waits for a full pipe that does not block; then what is left of it is lost.
 */
#define LOG_WAIT_MS 1000

/* Bytes of the log that wait while nobody reads it; further lines are dropped and counted. What
 * memory is kept for them. */
#define LOG_BYTES_MAX  STRESSED(1024 * 1024, 64 * 1024)
#define LOG_KEEP_BYTES STRESSED(64 * 1024, 256)

/* Bytes of the log that are kept while a spec runs; then the oldest lines are forgotten. */
#define LOG_SPEC_BYTES STRESSED(256 * 1024, 64 * 1024)

/* How often a full log is looked at, and how long the end of the process waits for it. */
#define LOG_LOOK_MS  100
#define LOG_LEAVE_MS 1000

/* Bytes of the access log that wait while its pipe is full or its disk slow; lines past that are
 * dropped and counted. */
#define LINE_WRITER_BYTES_MAX (2 * 1024 * 1024)

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

/* Bytes of a streamed response that wait in the server before its writer has to wait. */
#define STREAM_PAUSE_BYTES STRESSED(64 * 1024, 4096)

/* Bytes of a streamed request body that wait for their reader before the socket is not read. */
#define BODY_PAUSE_BYTES STRESSED(64 * 1024, 1024)

/* After its last response a connection reads and drops what still comes, so that the response is
 * not lost to a reset: for so long, and so many bytes; then it is closed. */
#define LINGER_MS        2000
#define LINGER_BYTES_MAX (64 * 1024 * 1024)

/* Bytes of all trailers and chunk extensions of one request; more: 431. */
#define CHUNK_EXTRA_BYTES_MAX (16 * 1024)

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

/* Ranges of one Range field; with more the whole file is sent. */
#define RANGES_MAX 16

/* Bytes of a cookie that browsers keep, name and encoded value; a longer one is an error. */
#define COOKIE_BYTES_MAX 4096

/* Bytes of a secret that signs cookies; a shorter one is an error. */
#define COOKIE_SECRET_BYTES_MIN 16

/* Bodies from so many bytes on are compressed: less gains nothing in a packet. */
#define COMPRESS_BYTES_MIN 1024

/* Bodies up to so many bytes are compressed on the event loop, which takes half a millisecond;
 * larger ones on libuv's threads. */
#define COMPRESS_INLINE_BYTES_MAX STRESSED(32 * 1024, 1024)

/* Bytes that a streamed response compresses of one write; of a larger one nothing is compressed. */
#define COMPRESS_WRITE_BYTES_MAX (256 * 1024)

/* Compressors that a worker keeps for such threads, about 300 KiB each. */
#define SPARE_COMPRESSORS_MAX STRESSED(4, 1)

/* A file up to this size is compressed for clients that ask for it; a larger one is sent as it is.
 */
#define FILE_ENCODE_BYTES_MAX (1024 * 1024)

/* Bytes of compressed files that a worker keeps; what was not asked for longest goes. */
#define FILE_ENCODED_BYTES_MAX (8 * 1024 * 1024)

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

/* Nesting of arrays and objects in JSON, read or written, an empty one inside not counted; deeper
 * raises kind "json". */
#define JSON_DEPTH_MAX 1000

/* Bytes of one JSON text, read or written; longer raises kind "json". */
#define JSON_TEXT_BYTES_MAX (512ull * 1024 * 1024)

/* Bytes of text for which a Lua state keeps its JSON memory from call to call; what a longer text
 * needed is freed after it. */
#define JSON_KEEP_BYTES_MAX STRESSED(256 * 1024, 64)

/* Bytes of one response that perilune.http takes, decoded body (unless max_body says otherwise) and
 * header lines; more: kind "http". */
#define HTTP_RESPONSE_BYTES_MAX      (64 * 1024 * 1024)
#define HTTP_RESPONSE_HEAD_BYTES_MAX (256 * 1024)

/* Bytes of a streamed response that wait for their reader before the socket is not read. */
#define HTTP_PAUSE_BYTES STRESSED(64 * 1024, 1024)

/* Bytes of a file that perilune.http reads at once, of one that it sends. */
#define HTTP_PIECE_BYTES STRESSED(128 * 1024, 100)

/* Redirects that perilune.http follows for one request, and how many it may be asked to follow; one
 * more raises kind "http". */
#define HTTP_REDIRECTS_MAX       20
#define HTTP_REDIRECTS_ASKED_MAX 1000

/* Requests of one Lua state that perilune.http sends at once, half of the process's descriptors at
 * most; further ones wait until one has ended. */
#define HTTP_RUNNING_MAX 1024

/* Idle connections that perilune.http keeps in one Lua state; past it the oldest is closed. */
#define HTTP_CONNECTIONS_KEPT_MAX STRESSED(256, 2)

/* How long perilune.http waits for a whole response, for its connection, and for a byte of a
 * streamed one, unless told; then kind "timeout" is raised. */
#define HTTP_TIMEOUT_MS         30000
#define HTTP_CONNECT_TIMEOUT_MS 10000
#define HTTP_STREAM_IDLE_MS     60000

/* Bytes of a method that perilune.http sends; a longer one is an error of the caller. */
#define HTTP_METHOD_BYTES_MAX 32

/* Bytes that a program run by perilune.process may write to standard output, and as many to its
 * standard error, unless told; past it it is killed and kind "process" is raised. */
#define PROCESS_OUTPUT_BYTES_MAX (64 * 1024 * 1024)

/* How long the outputs of a program that has ended are read while others hold them open; then they
 * are killed, if they are of its process group, and what they wrote so far is the result. */
#define PROCESS_LINGER_MS 1000

/* Bytes of the end of standard error that an error of perilune.process carries. */
#define PROCESS_TAIL_BYTES_MAX STRESSED(4096, 64)

/* Tables of perilune.shared that one app may have, and bytes of a name; more are an error of the
 * caller. */
#define SHARED_TABLES_MAX     1000
#define SHARED_NAME_BYTES_MAX 255

/* Bytes of a key in a table of perilune.shared; a longer one is an error of the caller. */
#define SHARED_KEY_BYTES_MAX 8192

/* How often shared:update calls its function again because the value was changed meanwhile; then
 * kind "conflict" is raised. */
#define SHARED_UPDATES_MAX STRESSED(10000, 1000)

/* Topics that are in use in one app at once; another one raises kind "full". Bytes of a topic's
 * name, and messages that a subscription may be made to buffer: more are an error of the caller. */
#define TOPICS_MAX           100000
#define TOPIC_NAME_BYTES_MAX 1024
#define TOPIC_BUFFER_MAX     1000000

/* Messages that a subscription buffers unless it says so; then the oldest goes, or it ends. */
#define TOPIC_BUFFER_DEFAULT 100

/* Fields of an urlencoded form, and parts of a multipart one; more: 413. */
#define FORM_FIELDS_MAX 1000
#define FORM_PARTS_MAX  1000

/* Bytes of the name of a field and of a file name in a form; longer: 413. */
#define FORM_NAME_BYTES_MAX 1024

/* Bytes of the header of one part of a multipart form; more: 413. */
#define FORM_PART_HEAD_BYTES_MAX (8 * 1024)

/* Bytes of all text fields of one form together; more: 413. */
#define FORM_TEXT_BYTES_MAX (16 * 1024 * 1024)

/* Bytes of one file of a multipart form, and of all of one form together, that are kept in memory;
 * what is larger goes to temporary files. */
#define FORM_PART_BYTES_MAX   (1024 * 1024)
#define FORM_MEMORY_BYTES_MAX (4 * 1024 * 1024)

/* Bytes of a temporary file that are written at once. */
#define FORM_BLOCK_BYTES STRESSED(256 * 1024, 4096)

/* Bytes that one call of perilune.fs reads into a string, unless told; more: kind "fs", code
 * "EFBIG". */
#define FS_READ_BYTES_MAX (256 * 1024 * 1024)

/* Bytes of a line that a file's handle reads; a longer one: kind "fs", code "EFBIG". */
#define FS_LINE_BYTES_MAX STRESSED(16 * 1024 * 1024, 128 * 1024)

/* Bytes that a handle reads ahead of a line or a small piece, and what it keeps of larger reads. */
#define FS_BLOCK_BYTES STRESSED(64 * 1024, 16)

/* Names that fs.list gives, and that fs.watch remembers; more: kind "fs", code "EFBIG". */
#define FS_NAMES_MAX 1000000

/* Names that an iterator over a directory reads at once. */
#define FS_NAMES_AHEAD STRESSED(256, 2)

/* Nesting of directories that are removed at once: each level has one of them open; deeper: kind
 * "fs", code "ENAMETOOLONG". */
#define FS_DEPTH_MAX 200

/* How long changes of watched files gather, so that several of one file become one. */
#define FS_WATCH_GATHER_MS 20

/* Bytes that perilune.crypto hashes on the event loop, which takes half a millisecond; more of them
 * are a job for libuv's threads, where the caller can wait. */
#define CRYPTO_INLINE_BYTES_MAX STRESSED(256 * 1024, 64)

/* Random bytes of one call; more is an error of the caller. */
#define CRYPTO_RANDOM_BYTES_MAX (1024 * 1024)

/* Memory that hashing one password may take, and that times its parallelism, which is the time. A
 * hash that asks for more: kind "crypto". And the cost of new ones, unless told: 32 MiB. */
#define PASSWORD_MEMORY_BYTES_MAX (256ull * 1024 * 1024)
#define PASSWORD_WORK_BYTES_MAX   (1024ull * 1024 * 1024)
#define PASSWORD_LN               15

/* Bytes of a password; a longer one is an error of the caller, and matches no hash. */
#define PASSWORD_BYTES_MAX 4096

/* Jobs that wait for the threads of one database; a further one raises kind "full". */
#define SQLITE_JOBS_MAX 100000

/* Threads that read from one database, unless the app says, and at most. */
#define SQLITE_READERS     4
#define SQLITE_READERS_MAX 64

/* Prepared statements that one connection keeps, unless the app says, and at most; the one that was
 * used longest ago goes. */
#define SQLITE_STATEMENTS     STRESSED(100, 1)
#define SQLITE_STATEMENTS_MAX 10000

/* How long a database waits for another process's lock, unless the app says; then it fails with
 * SQLITE_BUSY. And how often it looks. */
#define SQLITE_BUSY_TIMEOUT_MS 5000
#define SQLITE_BUSY_LOOK_MS    10

/* How long the end of the process waits for databases that something still holds. */
#define SQLITE_LEAVE_MS 2000

/* Steps of SQLite's machine after which it is looked whether somebody still waits for a statement.
 */
#define SQLITE_PROGRESS_STEPS STRESSED(1000, 10)

/* Statements that share one transaction because they wait at the same time. */
#define SQLITE_GROUP_MAX STRESSED(256, 3)

/* Iterators over rows that are open on one database; a further one raises kind "full". */
#define SQLITE_CURSORS_MAX 100

/* Rows that such an iterator reads ahead, and bytes after which it stops to. */
#define SQLITE_BATCH_ROWS  STRESSED(256, 2)
#define SQLITE_BATCH_BYTES STRESSED(64 * 1024, 64)

/* Bytes of all rows of one query; more is an error that names db:rows. And of one SQL text. */
#define SQLITE_RESULT_BYTES_MAX (256 * 1024 * 1024)
#define SQLITE_SQL_BYTES_MAX    (64 * 1024 * 1024)

#endif
