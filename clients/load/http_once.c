#include "clients/load/http_once.h"

#include <string.h>

#include "rpc/base/buf.h"

static struct curl_slist *make_headers(const struct target *t)
{
    struct curl_slist *list = NULL;
    for (size_t i = 0; t->headers != NULL && t->headers[i] != NULL; i += 2) {
        struct buf line = { 0 };
        buf_printf(&line, "%s: %s", t->headers[i], t->headers[i + 1]);
        struct curl_slist *longer = line.failed ? NULL : curl_slist_append(list, buf_str(&line));
        buf_done(&line);
        if (longer != NULL)
            list = longer;
    }
    return list;
}

CURL *http_once_new(const struct target *t, struct curl_slist **headers)
{
    CURL *e = curl_easy_init();
    if (e == NULL)
        return NULL;
    *headers = make_headers(t);
    curl_easy_setopt(e, CURLOPT_PROXY, "");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long) HTTP_ONCE_TIMEOUT_MS);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, *headers);
    if (t->ca_file != NULL)
        curl_easy_setopt(e, CURLOPT_CAINFO, t->ca_file);
    if (t->cert_file != NULL) {
        curl_easy_setopt(e, CURLOPT_SSLCERT, t->cert_file);
        curl_easy_setopt(e, CURLOPT_SSLKEY, t->key_file);
    }
    if (t->insecure) {
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return e;
}

void http_once_free(CURL *e, struct curl_slist *headers)
{
    curl_slist_free_all(headers);
    curl_easy_cleanup(e);
}

bool http_once_url(const struct target *t, const char *path, char *url, size_t size)
{
    size_t n = strlen(t->address);
    while (n > 0 && t->address[n - 1] == '/')
        n--;
    return snprintf(url, size, "%.*s%s", (int) n, t->address, path) < (int) size;
}
