# programs.sh - measures programs that print figures, in turns: each workload with every program, in
# several rounds, of which the median counts.
#
# Sourced from the root of the project after server.sh and common.sh, by a script that has the lists
# `workloads` and `programs`, DIRECTORY with its app, for each program a function program_NAME
# WORKLOAD that sets `command`, and a function `usage`. A program prints a line for each figure: its
# name and value.
# shellcheck shell=bash disable=SC2034,SC2154

readonly LIMIT_SECONDS=300
declare -A CPUS=() # of a workload; the rest runs on CPU 0
server_settings=(PERILUNE_STALL_WARN=off) # of Perilune
seconds=1
rounds=3
build=""
python=""
program_pid=""
declare -A values=() is_noted=()
notes=()

read_options() {
  while (($# > 0)); do
    if [[ $1 == --help || $1 == -h ]]; then usage; exit 0; fi
    (($# > 1)) || fail "unknown option '$1', or one without its value (see --help)"
    case $1 in
      --only) choose "$1" "$2" "${workloads[@]}" && workloads=("${chosen[@]}") ;;
      --programs) choose "$1" "$2" "${programs[@]}" && programs=("${chosen[@]}") ;;
      --seconds) check_number "$1" "$2" && seconds=$2 ;;
      --rounds) check_number "$1" "$2" && rounds=$2 ;;
      --build) build=$2 ;;
      *) fail "unknown option '$1' (see --help)" ;;
    esac
    shift 2
  done
}

note() {
  [[ -z ${is_noted[$1]:-} ]] || return 0
  is_noted[$1]=1
  notes+=("$1")
}

# Leaves out the programs whose tool is missing.
find_programs() {
  local name found=()
  python=$(type -P /usr/bin/python3 || type -P python3) || true
  for name in "${programs[@]}"; do
    case $name in
      asyncio) [[ -n $python ]] || { note "Python is not installed: left out" && continue; } ;;
      node) type -P node >/dev/null || { note "Node is not installed: left out" && continue; } ;;
    esac
    found+=("$name")
  done
  programs=("${found[@]}")
}

# All that is started from here on runs on these CPUs.
pin() { taskset -c -p "$1" $$ >/dev/null || fail "cannot run on CPU $1"; }

finish() {
  if [[ -n $program_pid ]]; then kill -TERM "$program_pid" 2>/dev/null || true; fi
  end_servers
}

fail_with_output() {
  cat "$scratch/figures" "$scratch/errors" "$scratch"/*.log >&2 || true
  fail "$1"
}

# Appends what a program has printed to its figures.
take_figures() {
  local program=$1 name value
  while read -r name value; do
    if [[ $name == missing ]]; then
      note "Perilune has nothing for $value yet"
      continue
    fi
    [[ $value =~ ^-?[0-9]+\.[0-9]+$ ]] || fail_with_output "$program says: $name $value"
    values[$program.$name]+=" $value"
    say "  $program: $name $value"
  done <"$scratch/figures"
}

# Whether PROGRAM can do WORKLOAD; a script may have another one. What a program does not know it
# prints nothing for.
has_workload() { true; }

# One run of one program.
measure() {
  local program=$1 workload=$2 status=0 command=()
  has_workload "$program" "$workload" || return 0
  if [[ $program == perilune ]]; then
    start_server bench "${server_settings[@]}" "$DIRECTORY"
  fi
  "program_$program" "$workload"
  "${command[@]}" >"$scratch/figures" 2>"$scratch/errors" &
  program_pid=$!
  wait "$program_pid" || status=$?
  program_pid=""
  if [[ $program == perilune ]]; then stop_server bench || status=$?; fi
  ((status == 0)) || fail_with_output "$program has failed ($workload)"
  take_figures "$program"
}

# The figure NAME of PROGRAM, or nothing.
figure_of() {
  # shellcheck disable=SC2086 # the figures are words
  if [[ -n ${values[$1.$2]:-} ]]; then median ${values[$1.$2]}; fi
}

# A as a multiple of B, or nothing.
ratio() {
  if [[ -n $1 && -n $2 ]]; then awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2f", a / b }'; fi
}

whole() {
  if [[ -n $1 ]]; then thousands "$(printf '%.0f' "$1")"; fi
}

measure_all() {
  local workload round program
  for workload in "${workloads[@]}"; do
    pin "${CPUS[$workload]:-0}"
    for ((round = 1; round <= rounds; round++)); do
      say "$workload, round $round of $rounds"
      for program in "${programs[@]}"; do measure "$program" "$workload"; done
    done
  done
}

print_versions() {
  echo
  ((${#notes[@]} == 0)) || printf '%s\n' "${notes[@]}"
  "$build/perilune" --version
  if [[ " ${programs[*]} " == *" asyncio "* ]]; then "$python" --version; fi
  if [[ " ${programs[*]} " == *" node "* ]]; then echo "Node $(node --version)"; fi
}
