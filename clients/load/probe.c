#include "clients/load/probe.h"

#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <novelengine/v1/novel_engine.nrpc.h>
#include "clients/c/novel_client.h"
#include "clients/load/http_once.h"
#include "clients/load/json.h"

enum { PROBE_BYTES_MAX = 1 << 20 };

/* ---- the machine ---- */
static void find_line(const char *path, const char *key, char *out, size_t size)
{
    char line[512];
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return;
    while (fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || colon == NULL)
            continue;
        colon++;
        colon += strspn(colon, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        snprintf(out, size, "%.*s", (int) size - 1, colon);
        break;
    }
    fclose(f);
}

void probe_machine(struct results *r)
{
    struct utsname u;
    char memory[64] = "";
    snprintf(r->version, sizeof r->version, "%s", NOVEL_VERSION);
    snprintf(r->curl, sizeof r->curl, "%s", curl_version_info(CURLVERSION_NOW)->version);
    if (uname(&u) == 0)
        snprintf(r->system, sizeof r->system, "%.60s %.80s %.60s", u.sysname, u.release, u.machine);
    find_line("/proc/cpuinfo", "model name", r->processor, sizeof r->processor);
    find_line("/proc/meminfo", "MemTotal", memory, sizeof memory);
    r->memory_mb = strtod(memory, NULL) / 1024;
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    r->cores = cores > 0 ? (unsigned) cores : 1;
}

/* ---- what the deployment says ---- */
static void add_component(struct results *r, const char *name, const char *state)
{
    struct component *c = NULL;
    for (size_t i = 0; i < r->n_components; i++)
        if (strcmp(r->components[i].name, name) == 0)
            c = &r->components[i];
    if (c == NULL && r->n_components == RESULTS_COMPONENTS)
        return;
    if (c == NULL)
        c = &r->components[r->n_components++];
    snprintf(c->name, sizeof c->name, "%.31s", name);
    snprintf(c->state, sizeof c->state, "%.31s", state);
}

static size_t on_body(char *data, size_t one, size_t size, void *ctx)
{
    (void) one;
    struct buf *b = ctx;
    if (b->size + size > PROBE_BYTES_MAX)
        return 0;
    buf_put(b, data, size);
    return b->failed ? 0 : size;
}

static void read_status(struct results *r, const struct buf *body)
{
    struct json j = { 0 };
    if (json_parse(&j, (const char *) body->data, body->size)) {
        const struct json_node *root = json_root(&j), *all = json_get(&j, root, "components");
        snprintf(r->server_version, sizeof r->server_version, "%.31s",
                 json_text(&j, root, "version", ""));
        for (const struct json_node *c = json_first(&j, all); c != NULL; c = json_next(&j, c))
            if (c->kind == JSON_KIND_STRING && c->key != NULL)
                add_component(r, c->key, c->text);
    }
    json_done(&j);
}

bool probe_http(struct results *r, const struct target *t, char *why, size_t size)
{
    char url[1024];
    struct buf body = { 0 };
    struct curl_slist *headers = NULL;
    CURL *e = http_once_new(t, &headers);
    if (e == NULL || !http_once_url(t, "/meta/system-status", url, sizeof url)) {
        snprintf(why, size, e == NULL ? "out of memory" : "the URL is too long");
        http_once_free(e, headers);
        return false;
    }
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, &body);
    CURLcode code = curl_easy_perform(e);
    if (code == CURLE_OK) {
        r->http_requests++;
        read_status(r, &body); /* a deployment that does not tell is measured all the same */
    } else {
        snprintf(why, size, "nothing answers at %s: %s", t->address, curl_easy_strerror(code));
    }
    http_once_free(e, headers);
    buf_done(&body);
    return code == CURLE_OK;
}

bool probe_rpc(struct results *r, const struct target *t, char *why, size_t size)
{
    nrpc_client *client;
    int error =
        novel_client_open_tls(t->address, "novel-load/" NOVEL_VERSION, t->tls, NULL, &client);
    if (error < 0) {
        snprintf(why, size, "'%s': %s", t->address, nrpc_strerror(error));
        return false;
    }
    nrpc_status st = NRPC_STATUS_INIT;
    nrpc_msg *message = NULL;
    const Novelengine__V1__SystemStatus *status;
    const Novelengine__V1__GetSystemStatusRequest request =
        NOVELENGINE__V1__GET_SYSTEM_STATUS_REQUEST__INIT;
    const nrpc_client_options o = { .options = { .timeout_ms = HTTP_ONCE_TIMEOUT_MS },
                                    .metadata = t->headers };
    nrpc_code code =
        novelengine_v1_novel_engine_get_system_status(client, &o, &request, &message, &status, &st);
    bool reached = code != NRPC_UNAVAILABLE && code != NRPC_DEADLINE_EXCEEDED;
    r->rpc_requests += reached;
    if (code == NRPC_OK) {
        snprintf(r->server_version, sizeof r->server_version, "%.31s", status->version);
        for (size_t i = 0; i < status->n_components; i++)
            add_component(r, status->components[i]->key, status->components[i]->value);
    } else if (!reached) {
        snprintf(why, size, "nothing answers at %s: %s", t->address,
                 st.message == NULL ? nrpc_code_name(code) : st.message);
    }
    nrpc_msg_free(message);
    nrpc_status_clear(&st);
    nrpc_client_free(client);
    return reached;
}
