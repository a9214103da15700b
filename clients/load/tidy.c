#include "clients/load/tidy.h"

#include <string.h>

#include <novelengine/v1/novel_engine.nrpc.h>
#include "clients/c/novel_client.h"
#include "clients/load/http_once.h"

static size_t ignore_body(char *data, size_t one, size_t size, void *ctx)
{
    (void) data;
    (void) one;
    (void) ctx;
    return size;
}

/* Ids come from the deployment: they are checked before they become part of a path. */
static bool is_plain(const char *id)
{
    return id[0] != '\0' &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
               strlen(id);
}

static bool delete_http(CURL *e, struct results *r, const struct target *t, const char *id,
                        char *why, size_t size)
{
    char path[200], url[1024];
    long status = 0;
    snprintf(path, sizeof path, "/simulations/%.127s", id);
    if (!is_plain(id) || !http_once_url(t, path, url, sizeof url) ||
        curl_easy_setopt(e, CURLOPT_URL, url) != CURLE_OK) {
        snprintf(why, size, "its id cannot be part of a URL");
        return false;
    }
    CURLcode code = curl_easy_perform(e);
    if (code != CURLE_OK) {
        snprintf(why, size, "%s", curl_easy_strerror(code));
        return false;
    }
    r->http_requests++;
    curl_easy_getinfo(e, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        snprintf(why, size, "HTTP status %ld", status);
    return status / 100 == 2;
}

size_t tidy_http(struct results *r, const struct target *t, const struct buf *ids, char *why,
                 size_t size)
{
    struct curl_slist *headers = NULL;
    char reason[120];
    size_t left = 0;
    CURL *e = http_once_new(t, &headers);
    if (e != NULL) {
        curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, "DELETE");
        curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, ignore_body);
    }
    for (size_t at = 0; at < ids->size;) {
        const char *id = (const char *) ids->data + at;
        at += strlen(id) + 1;
        snprintf(reason, sizeof reason, "out of memory");
        if (e != NULL && delete_http(e, r, t, id, reason, sizeof reason))
            continue;
        if (left++ == 0)
            snprintf(why, size, "%s", reason);
    }
    http_once_free(e, headers);
    return left;
}

static bool delete_rpc(nrpc_client *client, struct results *r, const struct target *t,
                       const char *id, char *why, size_t size)
{
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *message = NULL;
    const Google__Protobuf__Empty *nothing;
    Novelengine__V1__DeleteSimulationRequest request =
        NOVELENGINE__V1__DELETE_SIMULATION_REQUEST__INIT;
    const nrpc_client_options o = { .options = { .timeout_ms = HTTP_ONCE_TIMEOUT_MS },
                                    .metadata = t->headers };
    request.simulation_id = (char *) id;
    nrpc_code code = novelengine_v1_novel_engine_delete_simulation(client, &o, &request, &message,
                                                                   &nothing, &st);
    r->rpc_requests++;
    if (code != NRPC_OK)
        snprintf(why, size, "%s: %s", nrpc_code_name(code), st.message == NULL ? "" : st.message);
    nrpc_msg_free(message);
    nrpc_status_clear(&st);
    return code == NRPC_OK;
}

size_t tidy_rpc(struct results *r, const struct target *t, const struct buf *ids, char *why,
                size_t size)
{
    nrpc_client *client = NULL;
    char reason[200];
    size_t left = 0;
    int error =
        novel_client_open_tls(t->address, "novel-load/" NOVEL_VERSION, t->tls, NULL, &client);
    for (size_t at = 0; at < ids->size;) {
        const char *id = (const char *) ids->data + at;
        at += strlen(id) + 1;
        snprintf(reason, sizeof reason, "%s", error < 0 ? nrpc_strerror(error) : "");
        if (error == 0 && delete_rpc(client, r, t, id, reason, sizeof reason))
            continue;
        if (left++ == 0)
            snprintf(why, size, "%s", reason);
    }
    nrpc_client_free(client);
    return left;
}
