/* http_service.c - building a service of settings, route table and handlers, and ending it.
 *
 * What its hub calls is the role's (http.c). */
#include "roles/http_service.h"

#include "base/settings.h"
#include "core/fiber.h"
#include "core/instance.h"
#include "core/line_writer.h"
#include "lib/schedule.h"
#include "roles/http.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

static void set_limits(struct http_limits *limits, const struct settings *settings) {
  *limits = (struct http_limits){
      .head = {.target_bytes_max = (uint32_t)settings->target_bytes_max,
               .head_bytes_max = (uint32_t)settings->header_bytes_max,
               .fields_max = (uint32_t)settings->headers_max},
      .body_bytes_max = settings->body_bytes_max,
      .header_timeout_ms = (uint32_t)settings->header_timeout_ms,
      .body_timeout_ms = (uint32_t)settings->body_timeout_ms,
      .idle_timeout_ms = (uint32_t)settings->idle_timeout_ms,
      .write_timeout_ms = (uint32_t)settings->write_timeout_ms,
      .connections_max = (uint32_t)settings->connections_max,
      .pipeline_max = (uint32_t)settings->pipeline_max,
      .backlog = settings->backlog,
  };
}

static void set_trust(struct http_service *service, const struct settings *settings) {
  enum proxy_fields fields = (enum proxy_fields)settings->proxy_fields;
  proxy_trust_init(&service->trust, settings->trusted_proxies, fields);
  if (!proxy_trust_is_empty(&service->trust)) service->hub.trust = &service->trust;
}

static bool has_statuses(const struct route_table *table) {
  return memchr(table->statuses, true, sizeof table->statuses) != NULL;
}

static void set_access_log(struct http_service *service, const struct process *process) {
  if (!process->access_log) return;
  enum log_format format = log_choose_format((enum log_format)process->settings->log_format,
                                             line_writer_is_terminal(process->access_log));
  access_log_init(&service->access_log, process->access_log, format, service->worker->index);
  service->hub.access_log = &service->access_log;
}

struct http_service *http_service_create(lua_State *L, int index, const struct route_table *table) {
  struct worker *worker = worker_of(L);
  route_table_push_handlers(L, table, index);
  int handlers = lua_gettop(L);
  route_table_push_statuses(L, table, index);
  struct http_service *service = memory_alloc_zero(sizeof *service);
  service->worker = worker;
  service->instance = worker->instance;
  const struct fiber *fiber = fiber_running(L);
  service->clock = fiber ? fiber->timers : worker->app_timers;
  service->table = table;
  service->handlers = memory_alloc_zero(table->count * sizeof(int));
  set_limits(&service->limits, worker->process->settings);
  for (size_t i = 0; i < table->count; i++) {
    lua_rawgeti(L, handlers, (lua_Integer)i + 1);
    service->handlers[i] = luaL_ref(L, LUA_REGISTRYINDEX);
  }
  service->statuses = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_pop(L, 1);
  hub_init(&service->hub, &worker->loop, &worker->timers, &service->limits, table->router,
           &http_calls);
  service->hub.owner = service;
  set_trust(service, worker->process->settings);
  set_access_log(service, worker->process);
  service->hub.routes = table->hub_routes;
  service->hub.statuses = has_statuses(table) ? table->statuses : NULL;
  service->hub.policy = table->policy;
  service->hub.statics = table->statics;
  service->hub.log = worker->process->log;
  service->hub.compresses = worker->process->settings->compress == SETTINGS_COMPRESS_AUTO;
  list_push(http_services(worker), &service->link);
  schedule_begin_app(L, index, service->clock);
  return service;
}

uv_err http_service_listen(struct http_service *service, int fd) {
  uv_err error = listener_start(&service->listener, &service->hub, fd);
  service->listening = true;
  return error;
}

void http_service_drain(struct http_service *service) {
  if (service->listening) listener_stop(&service->listener);
  service->draining = true;
  http_dismiss_streams(service);
  hub_drain(&service->hub);
}

void http_service_close(struct http_service *service) {
  http_service_drain(service);
  hub_close_all(&service->hub);
}

bool http_service_is_idle(const struct http_service *service) {
  return service->hub.connection_count == 0 && service->hub.exchange_count == 0 &&
         service->hub.jobs.count == 0 && service->hub.file_count == 0 &&
         (!service->listening || service->listener.is_closed);
}

void http_service_destroy(struct http_service *service) {
  for (size_t i = 0; i < service->table->count; i++)
    luaL_unref(service->worker->L, LUA_REGISTRYINDEX, service->handlers[i]);
  luaL_unref(service->worker->L, LUA_REGISTRYINDEX, service->statuses);
  schedule_end_app(service->worker->L, service->instance);
  list_remove(&service->link);
  hub_finish(&service->hub);
  access_log_finish(&service->access_log);
  proxy_trust_finish(&service->trust);
  free(service->handlers);
  free(service);
}
