/* program.h - the process: settings, log and watchdog, and the command line that uses them.
 *
 * The command line is Lua (perilune.cli.main) in a plain state on the main thread; it calls `serve`
 * and `run` here, each of which sets up the process, does its work and takes it down again. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include "base/buffer.h"
#include "base/log.h"
#include "base/settings.h"
#include "core/directory.h"
#include "core/watchdog.h"
#include "core/worker.h"

struct program {
  struct process process;
  struct settings settings;
  struct log log;
  struct log_writer *log_writer;
  struct watchdog watchdog;
  struct directory directory;
  struct buffer app_settings; /* process.app_settings */
};

/* [owner] Runs the command line with the arguments behind the program's name; gives the exit
 * code. */
int program_main(int argc, char **argv);

#endif
