/* libs.c - the list of modules in C, and where the framework's Lua files are.
 *
 * It stands above lib/ and roles/, since it names both. */
#include "libs.h"

#include "core/coverage.h"
#include "core/worker.h"
#include "lib/app.h"
#include "lib/async.h"
#include "lib/chain.h"
#include "lib/checks.h"
#include "lib/client.h"
#include "lib/context.h"
#include "lib/cookies.h"
#include "lib/crypto.h"
#include "lib/deadlock.h"
#include "lib/delivery.h"
#include "lib/develop.h"
#include "lib/fs.h"
#include "lib/json.h"
#include "lib/life.h"
#include "lib/logger.h"
#include "lib/loop.h"
#include "lib/once.h"
#include "lib/process.h"
#include "lib/req.h"
#include "lib/schedule.h"
#include "lib/schedule_remote.h"
#include "lib/shared.h"
#include "lib/sqlite.h"
#include "lib/task_handle.h"
#include "lib/task_registry.h"
#include "lib/task_remote.h"
#include "lib/topic.h"
#include "lib/upload.h"
#include "roles/service_module.h"

#include <lauxlib.h>

static const luaL_Reg modules[] = {{"perilune.async", async_open},
                                   {"perilune.context", context_open},
                                   {"perilune.crypto", crypto_open},
                                   {"perilune.json", luaopen_perilune_json},
                                   {"perilune.log", logger_open},
                                   {"perilune.native.app", app_open},
                                   {"perilune.native.chain", chain_open},
                                   {"perilune.native.checks", checks_open},
                                   {"perilune.native.cookies", cookies_open},
                                   {"perilune.native.coverage", coverage_open},
                                   {"perilune.native.deadlock", deadlock_module_open},
                                   {"perilune.native.develop", develop_open},
                                   {"perilune.native.fs", fs_open},
                                   {"perilune.native.http", client_open},
                                   {"perilune.native.life", life_open},
                                   {"perilune.native.loop", loop_open},
                                   {"perilune.native.once", once_open},
                                   {"perilune.native.service", service_module_open},
                                   {"perilune.process", process_open},
                                   {"perilune.shared", shared_open},
                                   {"perilune.sqlite", sqlite_open},
                                   {"perilune.topic", topic_open},
                                   {NULL, NULL}};

void libs_set_path(lua_State *L, const char *lua_dir) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "path");
  lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;%s", lua_dir, lua_dir, lua_tostring(L, -1));
  lua_setfield(L, -3, "path");
  lua_pop(L, 2);
}

int libs_open(lua_State *L) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  luaL_setfuncs(L, modules, 0);
  lua_pop(L, 1);
  libs_set_path(L, worker_of(L)->process->lua_dir);
  req_open(L);
  task_handle_open(L);
  task_remote_open(L);
  schedule_open(L);
  schedule_remote_open(L);
  task_registry_open(L);
  upload_open(L);
  delivery_open(L);
  sqlite_register(L);
  shared_open_transfer(L);
  topic_open_transfer(L);
  return 0;
}
