/* curl_code.c - the table of curl's error codes.
 *
 * A code may pass when it says something of the way to the server at that moment, and nothing of
 * the request or of the server itself. */
#include "lib/curl_code.h"

#include "base/base.h"

#include <stddef.h>

/* The code, and whether it may pass. */
#define CODES(X)                                                                                   \
  X(UNSUPPORTED_PROTOCOL, false)                                                                   \
  X(FAILED_INIT, false)                                                                            \
  X(URL_MALFORMAT, false)                                                                          \
  X(COULDNT_RESOLVE_PROXY, true)                                                                   \
  X(COULDNT_RESOLVE_HOST, true)                                                                    \
  X(COULDNT_CONNECT, true)                                                                         \
  X(WEIRD_SERVER_REPLY, false)                                                                     \
  X(HTTP2, true)                                                                                   \
  X(PARTIAL_FILE, true)                                                                            \
  X(WRITE_ERROR, false)                                                                            \
  X(READ_ERROR, false)                                                                             \
  X(OUT_OF_MEMORY, false)                                                                          \
  X(OPERATION_TIMEDOUT, true)                                                                      \
  X(SSL_CONNECT_ERROR, true)                                                                       \
  X(ABORTED_BY_CALLBACK, false)                                                                    \
  X(TOO_MANY_REDIRECTS, false)                                                                     \
  X(GOT_NOTHING, true)                                                                             \
  X(SEND_ERROR, true)                                                                              \
  X(RECV_ERROR, true)                                                                              \
  X(SSL_CERTPROBLEM, false)                                                                        \
  X(SSL_CIPHER, false)                                                                             \
  X(PEER_FAILED_VERIFICATION, false)                                                               \
  X(BAD_CONTENT_ENCODING, false)                                                                   \
  X(SEND_FAIL_REWIND, false)                                                                       \
  X(SSL_CACERT_BADFILE, false)                                                                     \
  X(SSL_ISSUER_ERROR, false)                                                                       \
  X(HTTP2_STREAM, true)                                                                            \
  X(PROXY, true)

static const struct {
  CURLcode code;
  const char *name;
  bool may_pass;
} codes[] = {
#define ROW(NAME, MAY_PASS) {CURLE_##NAME, "CURLE_" #NAME, MAY_PASS},
    CODES(ROW)
#undef ROW
};

const char *curl_code_name(CURLcode code) {
  for (size_t i = 0; i < array_len(codes); i++) {
    if (codes[i].code == code) return codes[i].name;
  }
  return NULL;
}

bool curl_code_may_pass(CURLcode code) {
  for (size_t i = 0; i < array_len(codes); i++) {
    if (codes[i].code == code) return codes[i].may_pass;
  }
  return false;
}
