/* main.c - argv to Lua's command line, nothing else.
 *
 * Everything the program does is decided there and in program.c. */
#include "program.h"

int main(int argc, char **argv) {
  return program_main(argc, argv);
}
