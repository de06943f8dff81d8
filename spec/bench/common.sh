# common.sh - what the measuring scripts of this directory share: options, words, figures.
#
# Sourced from the root of the project, by a script that has a function `fail`, which says what is
# wrong and ends it.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }

# Whole number VALUE of option NAME, at least 1.
check_number() {
  [[ $2 =~ ^[1-9][0-9]{0,5}$ ]] || fail "$1 wants a whole number from 1 on, not '$2'"
}

# Comma-separated NAMES of option OPTION into `chosen`: each one of the rest, none twice.
choose() {
  local option=$1 name known seen=,
  IFS=, read -r -a chosen <<<"$2"
  shift 2
  ((${#chosen[@]} > 0)) || fail "$option wants names out of: $*"
  for name in "${chosen[@]}"; do
    [[ $seen != *",$name,"* ]] || fail "$option: '$name' is there twice"
    seen+=$name,
    for known in "$@"; do [[ $known != "$name" ]] || continue 2; done
    fail "$option: no '$name'; there are: $*"
  done
}

# Sets `build` to where the programs are, made first unless the option gave it.
build_programs() {
  if [[ -z $build ]]; then
    build=$(./perilune --build bench) || fail "./perilune --build bench has failed"
  fi
}

median() { printf '%s\n' "$@" | sort -n | sed -n "$((($# + 1) / 2))p"; }

# TEXT with commas between the thousands.
thousands() { sed -E ':again; s/([0-9])([0-9]{3})(,|$)/\1,\2\3/; t again' <<<"$1"; }
