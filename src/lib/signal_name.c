/* signal_name.c - the table of names.
 *
 * libc's own functions for it give sentences ("Killed"), in the language of the locale, or exist in
 * glibc only. */
#include "lib/signal_name.h"

#include "base/base.h"

#include <signal.h>

#define SIGNALS(X)                                                                                 \
  X(HUP)                                                                                           \
  X(INT)                                                                                           \
  X(QUIT)                                                                                          \
  X(ILL)                                                                                           \
  X(TRAP)                                                                                          \
  X(ABRT)                                                                                          \
  X(BUS)                                                                                           \
  X(FPE)                                                                                           \
  X(KILL)                                                                                          \
  X(USR1)                                                                                          \
  X(SEGV)                                                                                          \
  X(USR2)                                                                                          \
  X(PIPE)                                                                                          \
  X(ALRM)                                                                                          \
  X(TERM)                                                                                          \
  X(STKFLT)                                                                                        \
  X(XCPU)                                                                                          \
  X(XFSZ)                                                                                          \
  X(VTALRM)                                                                                        \
  X(PROF)                                                                                          \
  X(IO)                                                                                            \
  X(PWR)                                                                                           \
  X(SYS)

void signal_name_push(lua_State *L, int signal) {
  static const struct {
    int number;
    const char *name;
  } names[] = {
#define SIGNAL_NAME(name) {SIG##name, "SIG" #name},
      SIGNALS(SIGNAL_NAME)
#undef SIGNAL_NAME
  };
  for (size_t i = 0; i < array_len(names); i++) {
    if (names[i].number != signal) continue;
    lua_pushstring(L, names[i].name);
    return;
  }
  lua_pushfstring(L, "signal %d", signal);
}
