/* http_once.h — single blocking requests to a target, outside of any step: with its headers and its
 * certificates. */
#ifndef NOVEL_LOAD_HTTP_ONCE_H
#define NOVEL_LOAD_HTTP_ONCE_H
#include <curl/curl.h>
#include "clients/load/worker.h"

enum { HTTP_ONCE_TIMEOUT_MS = 10000 };
/* NULL without memory.  *headers is the handle's; both go to http_once_free. */
CURL *http_once_new(const struct target *t, struct curl_slist **headers);
void http_once_free(CURL *e, struct curl_slist *headers); /* NULL is fine */
bool http_once_url(const struct target *t, const char *path, char *url,
                   size_t size); /* false: too long */

#endif
