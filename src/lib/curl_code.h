/* curl_code.h - the names of curl's error codes.
 *
 * Those that a request by HTTP can end with. curl has texts for people but no names for programs.
 */
#ifndef LIB_CURL_CODE_H
#define LIB_CURL_CODE_H

#include <curl/curl.h>
#include <stdbool.h>

/* [any thread] The name of a code ("CURLE_COULDNT_CONNECT"), static; NULL when it has none here. */
const char *curl_code_name(CURLcode code);

/* [any thread] Whether a request that ended so may go well when it is sent again. */
bool curl_code_may_pass(CURLcode code);

#endif
