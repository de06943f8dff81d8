# checks.sh - counting checks, for clients that are shell scripts.
#
# check WHAT COMMAND... runs the command, which ends at its first failure; its output is shown then.
# The script itself must not have `set -e`: bash forgets it in whatever is a condition.
# end_checks prints the counts; its code is 1 if any failed.
# shellcheck shell=bash

passed=0 failed=0

check() {
  local what=$1 code
  shift
  (set -e; "$@") >"$SCRATCH/trace" 2>&1
  code=$?
  if ((code == 0)); then
    echo "ok   $what"
    passed=$((passed + 1))
  else
    echo "FAIL $what"
    sed 's/^/     /' "$SCRATCH/trace" | tail -n 20
    failed=$((failed + 1))
  fi
}

# Whether two texts are equal.
is() {
  [[ $1 == "$2" ]] || { printf 'got %q, not %q\n' "$1" "$2" && false; }
}

# Whether a text matches an extended regular expression.
like() {
  [[ $1 =~ $2 ]] || { printf '%q is not like %q\n' "$1" "$2" && false; }
}

end_checks() {
  echo "$passed passed, $failed failed"
  ((failed == 0))
}
