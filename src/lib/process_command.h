/* process_command.h - from the table that process.run takes to what is started.
 *
 * All of it is checked here, before anything is started: what is wrong in it is a mistake of the
 * caller and raised at his line. The strings that a command points to are anchored on the stack. */
#ifndef LIB_PROCESS_COMMAND_H
#define LIB_PROCESS_COMMAND_H

#include "lib/subprocess.h"

#include <lua.h>

struct process_command {
  struct subprocess_command start;
  uint64_t timeout_ns; /* 0: none */
  bool checks;         /* anything but exit code 0 is an error */
};

/* Values that process_command_read pushes. */
enum { PROCESS_COMMAND_VALUES = 4 };

/* [owner] Reads the table at argument 1 of the running C function. Pushes the list of the program
 * and its arguments as strings, then what else must stay as long as `start` is used. */
void process_command_read(lua_State *L, struct process_command *command);

#endif
