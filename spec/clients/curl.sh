# curl.sh - what people do with curl, against apps/board at BOARD_URL; byte for byte.
#
# Needs SCRATCH, an empty directory. Started by spec/clients/run.
# shellcheck shell=bash

set -uo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

jar=$SCRATCH/jar
readonly public=apps/board/public
readonly photo=$SCRATCH/photo.png photo_bytes=$((5 << 20)) messages=20000 kept=10000

# A word that starts with a slash is a path of the board.
get() {
  local words=() word
  for word in "$@"; do
    case $word in
      "$SCRATCH"/* | /dev/null) words+=("$word") ;;
      /*) words+=("$BOARD_URL$word") ;;
      *) words+=("$word") ;;
    esac
  done
  curl -sS --noproxy '*' --max-time 60 -b "$jar" "${words[@]}"
}

status() { get -o /dev/null -w '%{http_code}' "$@"; }

# The value of a header field of the answer, from a GET with its body thrown away.
field() {
  local name=$1
  shift
  get -o /dev/null -D - "$@" | tr -d '\r' | sed -nE "s/^$name: (.*)/\1/Ip"
}

import_line() { printf '{"author":"curl","text":"line %d"}\n' "$1"; }
import_lines() { seq 1 "$messages" | sed 's/.*/{"author":"curl","text":"line &"}/'; }

# The CSV of the messages that the board keeps of an import, without their numbers.
csv_of_import() { seq $((messages - kept + 1)) "$messages" | sed 's/.*/"curl","line &"\r/'; }
csv_of_board() { get /messages.csv | tail -n "$kept" | cut -d , -f 2-; }
check_import() { is "$(cat)" "{\"imported\":$messages}"; cmp <(csv_of_board) <(csv_of_import); }

# --- pages and connections -----------------------------------------------------------------------

page() {
  get / | cmp - $public/index.html
  get /app.js | cmp - $public/app.js
  is "$(field content-type /style.css)" "text/css; charset=utf-8"
}

http_1_0() {
  get --http1.0 / | cmp - $public/index.html
  get --http1.0 /messages.csv | head -n 1 | cmp - <(printf 'id,author,text\r\n')
  like "$(get --http1.0 -D - -o /dev/null /messages.csv)" '^HTTP/1\.[01] 200'
  is "$(field transfer-encoding --http1.0 /messages.csv)" ""
}

kept_alive() {
  local opened
  opened=$(get -o /dev/null -w '%{num_connects} ' / -o /dev/null /messages -o /dev/null /app.js \
    -o /dev/null /missing -o /dev/null /messages.csv)
  is "$opened" "1 0 0 0 0 "
}

kept_alive_1_0() {
  is "$(get --http1.0 -H 'Connection: keep-alive' -o /dev/null -w '%{num_connects} ' / \
    -o /dev/null /app.js)" "1 0 "
  is "$(get --http1.0 -o /dev/null -w '%{num_connects} ' / -o /dev/null /app.js)" "1 1 "
}

closed() {
  is "$(get -H 'Connection: close' -o /dev/null -w '%{num_connects} ' / -o /dev/null /)" "1 1 "
  is "$(field connection -H 'Connection: close' /)" close
}

head_only() {
  is "$(get -I / -o "$SCRATCH/head" -w '%{http_code} %{size_download}')" "200 0"
  like "$(tr -d '\r' <"$SCRATCH/head")" "Content-Length: $(wc -c <$public/index.html)"
  is "$(get -I /messages.csv -o /dev/null -w '%{http_code} %{size_download}')" "200 0"
  is "$(get -I -o /dev/null -w '%{num_connects} ' / -o /dev/null /messages)" "1 0 "
}

upgrade_ignored() { get --http2 / -w '%{http_version}' | tail -c 3 | cmp - <(printf 1.1); }

parallel() {
  local n words=()
  for n in {1..40}; do words+=(-o "$SCRATCH/$n" /app.js); done
  get -Z "${words[@]}"
  for n in {1..40}; do cmp "$SCRATCH/$n" $public/app.js; done
}

# --- answers -------------------------------------------------------------------------------------

refusals() {
  is "$(get /missing)" '{"detail":"Not Found"}'
  like "$(get -H 'Accept: text/html' /missing)" '<!doctype html>'
  is "$(status -H 'Accept: text/html' /missing)" 404
  is "$(status -X PATCH /messages)" 405
  is "$(status -H 'Host:' /)" 400
  is "$(status -X BREW /)" 501
  is "$(status -d '{' -H 'Content-Type: application/json' /messages)" 400
  is "$(status -d '{}' -H 'Content-Type: application/json' /messages)" 422
  is "$(status "/$(printf '%09000d' 0)")" 414
  is "$(status -H "X-Long: $(printf '%020000d' 0)" /)" 431
  is "$(jar=none get -d '{}' /messages)" '{"detail":"log in first"}'
}

allow() {
  is "$(field allow -X PATCH /messages/1)" "$(field allow -X OPTIONS /messages/1)"
  like "$(field allow -X OPTIONS /messages/1)" 'GET'
  like "$(field allow -X OPTIONS /messages/1)" 'DELETE'
}

everywhere() {
  local path
  for path in / /messages /missing /photos/none /messages/x; do
    is "$(field x-content-type-options "$path")" nosniff
    like "$(field date "$path")" ' GMT$'
  done
}

# What is outside of public/ does not come out of it.
no_way_out() {
  local path
  for path in /../app.lua /..%2fapp.lua /%2e%2e/app.lua '/..\app.lua' /..%5capp.lua /%00 \
    /photos/..%2f..%2f..%2fetc%2fpasswd; do
    like "$(status --path-as-is "$path")" '^40[04]$'
  done
}

# --- logging in, messages ------------------------------------------------------------------------

log_in() {
  is "$(curl -sS --noproxy '*' -c "$jar" -d name=curl "$BOARD_URL/login")" '{"name":"curl"}'
  like "$(cat "$jar")" '#HttpOnly_127.0.0.1'
}

forged() {
  local signed
  signed=$(sed -nE 's/.*board_user\t//p' "$jar")
  is "$(jar="board_user=curl" status -d '{}' /messages)" 401
  is "$(jar="board_user=x$signed" status -d '{}' /messages)" 401
  is "$(jar="board_user=$signed" status -d '{}' /messages)" 422
}

log_out() {
  cp "$jar" "$SCRATCH/leaving"
  is "$(curl -sS --noproxy '*' -b "$jar" -c "$SCRATCH/leaving" -o /dev/null \
    -w '%{http_code} %{redirect_url}' -d '' "$BOARD_URL/logout")" "303 $BOARD_URL/"
  ! grep -q board_user "$SCRATCH/leaving"
}

# Posts a text and prints the path of the message.
post() {
  get -o /dev/null -D - -H 'Content-Type: application/json' -d "{\"text\":\"$1\"}" /messages |
    tr -d '\r' | sed -nE 's/^location: //Ip'
}

post_and_read() {
  local path
  path=$(post 'Grüße, "quoted"' 2>&1 || true)
  is "$path" "" # the quotes are no JSON
  path=$(post 'Grüße')
  like "$(get "$path")" '"text":"Grüße"'
  like "$(get -L /messages/latest)" '"text":"Grüße"'
  is "$(get -o /dev/null -w '%{redirect_url}' /messages/latest)" "$BOARD_URL$path"
  is "$(get -X DELETE "$path" -w '%{http_code}')" 204
  is "$(status "$path")" 404
}

live_feed() {
  local path
  get -N --max-time 20 -o "$SCRATCH/feed" /feed &
  local reader=$! step
  # A keep-alive comment is not due yet: what comes is the message.
  for step in {1..100}; do
    path=$(post "live $step")
    sleep 0.05
    if [[ -s $SCRATCH/feed ]]; then break; fi
  done
  kill "$reader"
  wait "$reader" || true
  like "$(cat "$SCRATCH/feed")" $'id: [0-9]+\ndata: .*"text":"live [0-9]+"'
  get -N --max-time 1 -H "Last-Event-ID: $((${path##*/} - 1))" /feed >"$SCRATCH/feed" || true
  like "$(cat "$SCRATCH/feed")" "id: ${path##*/}"
}

long_poll() {
  is "$(status /messages/next)" 503
  like "$(get /messages/next?after=0)" '"text":'
}

# --- bodies --------------------------------------------------------------------------------------

import_chunked() { import_lines | get -X POST -T - /import | check_import; }
import_1_0() {
  import_lines >"$SCRATCH/lines"
  get --http1.0 --data-binary "@$SCRATCH/lines" /import | check_import
}

# --data-binary past 1 MiB: curl asks first, and sends when it has read 100.
import_expecting() {
  for n in {1..3}; do import_lines; done >"$SCRATCH/lines"
  get -v -H 'Expect: 100-continue' --data-binary "@$SCRATCH/lines" --expect100-timeout 30 \
    /import >"$SCRATCH/answer" 2>"$SCRATCH/verbose"
  is "$(cat "$SCRATCH/answer")" "{\"imported\":$((3 * messages))}"
  grep -q '^< HTTP/1.1 100 Continue' "$SCRATCH/verbose"
  cmp <(csv_of_board) <(csv_of_import)
}

# A body that is refused is not asked for: curl sends none of it.
refused_expecting() {
  head -c $((30 << 20)) /dev/zero >"$SCRATCH/zero"
  get -v -H 'Expect: 100-continue' --expect100-timeout 30 --data-binary "@$SCRATCH/zero" \
    -o /dev/null -w '%{http_code} %{size_upload}' /photos >"$SCRATCH/answer" 2>"$SCRATCH/verbose"
  is "$(cat "$SCRATCH/answer")" "413 0"
  ! grep -q '^< HTTP/1.1 100 Continue' "$SCRATCH/verbose"
  is "$(status -H 'Expect: 200-maybe' -d x /messages)" 417
}

too_large() { is "$(status -F "photo=@$SCRATCH/zero;type=image/png" -F text=x /photos)" 413; }

import_slowly() {
  import_line 1 >"$SCRATCH/lines"
  is "$(get --limit-rate 40 --data-binary "@$SCRATCH/lines" /import)" '{"imported":1}'
}

# --- photos --------------------------------------------------------------------------------------

upload_photo() {
  head -c "$photo_bytes" /dev/urandom >"$photo"
  get -o "$SCRATCH/answer" -w '%{http_code}' -F "photo=@$photo;type=image/png" \
    -F 'text=from curl' /photos >"$SCRATCH/status"
  is "$(cat "$SCRATCH/status")" 201
  sed -nE 's/.*"photo":"([^"]*)".*/\1/p' "$SCRATCH/answer" >"$SCRATCH/url"
  like "$(cat "$SCRATCH/answer")" '"text":"from curl"'
  get "$(cat "$SCRATCH/url")" | cmp - "$photo"
  like "$(get /photos/list.csv)" "$(basename "$(cat "$SCRATCH/url")"),$photo_bytes"
}

ranges() {
  local url
  url=$(cat "$SCRATCH/url")
  get -r 0-99 "$url" | cmp - <(head -c 100 "$photo")
  get -r -100 "$url" | cmp - <(tail -c 100 "$photo")
  get -r 5242000- "$url" | cmp - <(tail -c +5242001 "$photo")
  is "$(field content-range -r 5-9 "$url")" "bytes 5-9/$photo_bytes"
  is "$(status -r 5-9 "$url") $(status -r 9999999-  "$url")" "206 416"
  is "$(field content-range -r 9999999- "$url")" "bytes */$photo_bytes"
  get -r 0-9,1000-1099 "$url" | LC_ALL=C grep -aqF "Content-Range: bytes 1000-1099/$photo_bytes"
  like "$(field content-type -r 0-9,1000-1099 "$url")" '^multipart/byteranges; *boundary='
}

resume() {
  head -c 3000001 "$photo" >"$SCRATCH/part"
  get -C - -o "$SCRATCH/part" "$(cat "$SCRATCH/url")"
  cmp "$SCRATCH/part" "$photo"
}

conditions() {
  local url etag
  url=$(cat "$SCRATCH/url")
  etag=$(field etag "$url")
  like "$etag" '^".+"$'
  get --etag-save "$SCRATCH/etag" -o /dev/null "$url"
  is "$(status --etag-compare "$SCRATCH/etag" "$url")" 304
  is "$(status -z 'Thu, 01 Jan 2015 00:00:00 GMT' "$url")" 200
  is "$(status -z "$(field last-modified "$url")" "$url")" 304
  is "$(status -r 0-9 -H "If-Range: $etag" "$url")" 206
  is "$(status -r 0-9 -H 'If-Range: "old"' "$url")" 200
  is "$(status -H 'If-Match: "old"' "$url")" 412
}

slow_reader() { get --limit-rate 8m "$(cat "$SCRATCH/url")" | cmp - "$photo"; }

compressed() {
  local coding
  for coding in gzip br; do
    get -H "Accept-Encoding: $coding" -D "$SCRATCH/head" -o "$SCRATCH/body" '/messages?limit=500'
    like "$(tr -d '\r' <"$SCRATCH/head")" "Content-Encoding: $coding"
    like "$(tr -d '\r' <"$SCRATCH/head")" 'Vary: .*Accept-Encoding'
    (($(wc -c <"$SCRATCH/body") < 5000))
  done
  get --compressed /app.js | cmp - $public/app.js
  get --compressed /messages.csv | cmp - <(get /messages.csv)
  is "$(get --compressed '/messages?limit=500')" "$(get '/messages?limit=500')"
  is "$(field content-encoding --compressed "$(cat "$SCRATCH/url")")" ""
}

cors() {
  local origin=(-H "Origin: $PAGE_URL")
  is "$(field access-control-allow-origin "${origin[@]}" /messages)" "$PAGE_URL"
  is "$(field access-control-allow-origin "${origin[@]}" /missing)" "$PAGE_URL"
  is "$(field access-control-allow-origin -H 'Origin: http://else.example' /messages)" ""
  like "$(field access-control-allow-methods -X OPTIONS "${origin[@]}" \
    -H 'Access-Control-Request-Method: DELETE' /messages/1)" DELETE
}

check "curl: pages of public/" page
check "curl: HTTP/1.0" http_1_0
check "curl: one connection for many requests" kept_alive
check "curl: HTTP/1.0 with and without keep-alive" kept_alive_1_0
check "curl: Connection: close" closed
check "curl: HEAD" head_only
check "curl: an upgrade to HTTP/2 is not taken" upgrade_ignored
check "curl: forty downloads at once" parallel
check "curl: a login's cookie" log_in
check "curl: forged cookies" forged
check "curl: a logout" log_out
check "curl: refusals" refusals
check "curl: Allow" allow
check "curl: headers on every answer" everywhere
check "curl: no way out of public/" no_way_out
check "curl: a message: posted, read, redirected to, deleted" post_and_read
check "curl: the live feed" live_feed
check "curl: long polling" long_poll
check "curl: a chunked upload" import_chunked
check "curl: an upload in HTTP/1.0" import_1_0
check "curl: Expect: 100-continue" import_expecting
check "curl: Expect: 100-continue, refused" refused_expecting
check "curl: a form that is too large" too_large
check "curl: a slow upload" import_slowly
check "curl: a photo in a form" upload_photo
check "curl: ranges" ranges
check "curl: a resumed download" resume
check "curl: conditional requests" conditions
check "curl: a slow download" slow_reader
check "curl: compressed answers" compressed
check "curl: CORS" cors
end_checks
