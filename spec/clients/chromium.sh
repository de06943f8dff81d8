# chromium.sh - spec/clients/page/check.html in headless Chromium; the page at PAGE_URL runs all.
#
# Prints the lines that the page has written. Needs SCRATCH, an empty directory. Only the loopback
# is reached. Started by spec/clients/run.
# shellcheck shell=bash

set -uo pipefail

readonly LIMIT_SECONDS=120

# The lines of an element of the page, as text.
lines_of_results() {
  sed -n '/<pre id="results">/,/<\/pre>/p' | sed -E 's/.*<pre id="results">//; s/<\/pre>.*//' |
    sed 's/&lt;/</g; s/&gt;/>/g; s/&amp;/\&/g' | sed '/^$/d'
}

query="board=$BOARD_URL&stranger=${PAGE_URL/127.0.0.1/localhost}"
timeout "$LIMIT_SECONDS" chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
  --no-first-run --disable-background-networking --disable-component-update --no-proxy-server \
  --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost' \
  --user-data-dir="$SCRATCH/profile" --dump-dom "$PAGE_URL/check.html?$query" \
  >"$SCRATCH/dom" 2>"$SCRATCH/errors"
lines_of_results <"$SCRATCH/dom" >"$SCRATCH/results"
cat "$SCRATCH/results"
if ! grep -q ' passed, ' "$SCRATCH/results"; then
  tail -n 20 "$SCRATCH/errors"
  exit 1
fi
[[ $(tail -n 1 "$SCRATCH/results") == *" 0 failed" ]]
