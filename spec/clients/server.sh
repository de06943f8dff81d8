# server.sh - servers for the scripts of this directory: started, known by name, stopped.
#
# Sourced from the root of the project, by a script that may set `build`. begin_servers makes the
# directory $scratch and ends everything at the script's exit. A server NAME listens on a free port
# of the loopback: ${server_url[NAME]}, ${server_pid[NAME]}, its log $scratch/NAME.log.
# shellcheck shell=bash

readonly READY_STEPS=1000 STOP_STEPS=1000 STEP_SECONDS=0.02 # 20 s for each
declare -A server_pid=() server_url=()
scratch=""

fail() {
  printf '%s: %s\n' "$0" "$*" >&2
  exit 1
}

begin_servers() {
  trap end_servers EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  scratch=$(mktemp -d)
  if [[ -z ${build:-} ]]; then
    build=$(./perilune --build) || fail "./perilune --build has failed"
  fi
}

# start_server NAME SETTING=VALUE... APP: with $workers workers, or one; the settings go into its
# environment.
start_server() {
  local name=$1 step url
  shift
  : >"$scratch/$name.log" # of one that was there before
  env "${@:1:$#-1}" "$build/perilune" serve "${!#}" --port 0 --workers "${workers:-1}" \
    --log-format text </dev/null >"$scratch/$name.log" 2>&1 &
  server_pid[$name]=$!
  for ((step = 0; step < READY_STEPS; step++)); do
    url=$(sed -nE 's/.* listening .*url=(http:[^ ]*).*/\1/p' "$scratch/$name.log")
    if [[ -n $url ]]; then
      server_url[$name]=$url
      return
    fi
    kill -0 "${server_pid[$name]}" 2>/dev/null || break
    sleep $STEP_SECONDS
  done
  cat "$scratch/$name.log" >&2
  fail "the server $name does not listen"
}

# Ends a server and gives its exit code; one that does not end in time is killed.
stop_server() {
  local id=${server_pid[$1]} step
  unset "server_pid[$1]"
  kill -TERM "$id" 2>/dev/null || true
  for ((step = 0; step < STOP_STEPS; step++)); do
    if ! kill -0 "$id" 2>/dev/null; then
      wait "$id"
      return
    fi
    sleep $STEP_SECONDS
  done
  kill -KILL "$id" 2>/dev/null || true
  wait "$id"
}

end_servers() {
  local name
  for name in "${!server_pid[@]}"; do stop_server "$name" || true; done
  if [[ -n $scratch ]]; then rm -rf -- "$scratch"; fi
}
