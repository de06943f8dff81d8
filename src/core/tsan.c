/* tsan.c - what ThreadSanitizer needs to understand this program; only in that build.
 *
 * Distributions compile Lua with _FORTIFY_SOURCE, so it jumps by __longjmp_chk, which the sanitizer
 * does not know: its own stack of calls would grow with every error and yield until memory ends.
 * Here the jump goes by the longjmp that it does know. libuv closes descriptors by the raw system
 * call, which it does not see either: it takes the next thread that gets the same number for a
 * racing one, where it sees it get it, or close it (openat2 and fcntl are not seen). CMakeLists.txt
 * makes the linker take this file. */
#include <setjmp.h>

void __longjmp_chk(jmp_buf environment, int value);
const char *__tsan_default_suppressions(void);

void __longjmp_chk(jmp_buf environment, int value) {
  longjmp(environment, value);
}

__attribute__((no_sanitize("thread"))) const char *__tsan_default_suppressions(void) {
  return "race:epoll_create1\nrace:eventfd\nrace:pipe2\nrace:accept4\nrace:fopen64\n"
         "race:close_file\nrace:sender_finish\n";
}
