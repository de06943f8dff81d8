/* terminal.h - a pseudo terminal for C specs.
 *
 * Where the system has none, as in a bare chroot, the case that asks is skipped. */
#ifndef SPEC_TERMINAL_H
#define SPEC_TERMINAL_H

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Its descriptor, which the caller closes. */
static inline int open_terminal(void) {
  int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0) skip();
  assert_int_equal(grantpt(terminal), 0);
  assert_int_equal(unlockpt(terminal), 0);
  return terminal;
}

#endif
