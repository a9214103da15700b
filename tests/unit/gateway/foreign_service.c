/* The foreign service of foreign.proto, answered for real: echoes, failures of each kind, a stream
 * that can fail or fall silent where the request says. */
#include "tests/unit/gateway/foreign_service.h"

#include "foreign.pb-c.h"
#include "google/protobuf/empty.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "tests/unit/gateway/support.h"

#define METHOD(n, k, in, out)                                                                      \
    {                                                                                              \
        .name = #n, .path = "/foreign.v1.Shelf/" #n, .kind = k, .input = &in, .output = &out       \
    }
static const nrpc_method methods[] = {
    METHOD(GetShelf, NRPC_UNARY, foreign__v1__book_request__descriptor,
           foreign__v1__everything__descriptor),
    METHOD(PutEverything, NRPC_UNARY, foreign__v1__everything__descriptor,
           foreign__v1__everything__descriptor),
    METHOD(PatchInner, NRPC_UNARY, foreign__v1__patch__descriptor,
           foreign__v1__everything__descriptor),
    METHOD(Query, NRPC_UNARY, foreign__v1__everything__descriptor,
           foreign__v1__everything__descriptor),
    METHOD(Lock, NRPC_UNARY, foreign__v1__book_request__descriptor,
           google__protobuf__empty__descriptor),
    METHOD(Upload, NRPC_UNARY, google__api__http_body__descriptor,
           google__api__http_body__descriptor),
    METHOD(Tail, NRPC_SERVER_STREAM, foreign__v1__tail_request__descriptor,
           foreign__v1__tick__descriptor),
};
static const nrpc_service service = { "foreign.v1.Shelf", methods,
                                      sizeof methods / sizeof *methods };
_Atomic int foreign_tails_ended;

static void echo(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    assert_true(nrpc_call_reply(c, nrpc_msg_body(m)) >= 0);
    nrpc_msg_free(m);
}

static void get_shelf(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    const Foreign__V1__BookRequest *request = (const void *) nrpc_msg_body(m);
    Foreign__V1__Everything answer = FOREIGN__V1__EVERYTHING__INIT;
    nrpc_slice id = { 0 };
    nrpc_metadata_get(nrpc_call_headers_in(c), "x-request-id", 0, &id);
    char *text = nrpc_call_alloc(c, id.size + 1);
    memcpy(text, id.data, id.size);
    answer.f_string = request->name;
    answer.f_int64 = nrpc_call_deadline_ns(c) == UINT64_MAX ? 0 : 1;
    answer.f_bytes = (ProtobufCBinaryData){ id.size, (uint8_t *) text };
    assert_true(nrpc_call_reply(c, &answer.base) >= 0);
    nrpc_msg_free(m);
}

static void patch_inner(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    const Foreign__V1__Patch *request = (const void *) nrpc_msg_body(m);
    Foreign__V1__Everything answer = FOREIGN__V1__EVERYTHING__INIT;
    Foreign__V1__Inner inner = FOREIGN__V1__INNER__INIT;
    inner.text = request->everything->f_string;
    if (request->update_mask != NULL) {
        inner.n_list = request->update_mask->n_paths;
        inner.list = request->update_mask->paths;
    }
    answer.f_message = &inner;
    assert_true(nrpc_call_reply(c, &answer.base) >= 0);
    nrpc_msg_free(m);
}

static void lock(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    const Foreign__V1__BookRequest *request = (const void *) nrpc_msg_body(m);
    Google__Protobuf__Empty empty = GOOGLE__PROTOBUF__EMPTY__INIT;
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    nrpc_status st = NRPC_STATUS_INIT;
    if (strcmp(request->name, "missing") == 0) {
        nrpc_status_set(&st, NRPC_NOT_FOUND, "no shelf %s", request->name);
        info.reason = (char *) "SHELF_MISSING";
        nrpc_status_add_detail(&st, &info.base);
        nrpc_call_finish(c, &st);
    } else if (strcmp(request->name, "broken") == 0) {
        nrpc_call_fail(c, NRPC_INTERNAL, "the secret inside");
    } else if (strcmp(request->name, "never") != 0) {
        nrpc_call_reply(c, &empty.base);
    }
    nrpc_status_clear(&st);
    nrpc_msg_free(m);
}

struct tail {
    uint64_t at, last, fail_at, pause_at;
    size_t size; /* of the padding behind each text */
    char *text;
};

static void tail_on(nrpc_call *c, void *state)
{
    struct tail *t = state;
    while (t->at < t->last && t->at + 1 != t->pause_at) {
        Foreign__V1__Tick tick = FOREIGN__V1__TICK__INIT;
        if (t->at + 1 == t->fail_at) {
            nrpc_call_fail(c, NRPC_DATA_LOSS, "the secret inside");
            return;
        }
        tick.number = ++t->at;
        tick.kind = FOREIGN__V1__TICK__KIND__KIND_FIRST_TICK;
        int n = snprintf(t->text, 32, "tick\n%d", (int) t->at);
        memset(t->text + n, '.', t->size);
        t->text[(size_t) n + t->size] = '\0';
        tick.text = t->text;
        if (nrpc_call_send(c, &tick.base) == NRPC_PAUSE)
            return;
    }
    if (t->at == t->last)
        nrpc_call_finish(c, NULL);
}

static void tail(nrpc_call *c, void *ctx, nrpc_msg *m)
{
    (void) ctx;
    const Foreign__V1__TailRequest *request = (const void *) nrpc_msg_body(m);
    struct tail *t = nrpc_call_alloc(c, sizeof *t);
    *t = (struct tail){ request->after, request->count, request->fail_at, request->pause_at,
                        request->size };
    t->text = nrpc_call_alloc(c, t->size + 32);
    nrpc_call_set_state(c, t);
    nrpc_msg_free(m);
    if (t->fail_at == 1) {
        nrpc_call_fail(c, NRPC_NOT_FOUND, "nothing to tail");
        return;
    }
    nrpc_call_send_headers(c);
    tail_on(c, t);
}

static void tail_ended(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) state;
    (void) st;
    atomic_fetch_add(&foreign_tails_ended, 1);
}

static const nrpc_handler handlers[] = {
    { .request = get_shelf },
    { .request = echo },
    { .request = patch_inner },
    { .request = echo },
    { .request = lock },
    { .request = echo },
    { .request = tail, .on_writable = tail_on, .on_end = tail_ended },
};

nrpc_server *foreign_server_start(const char *address)
{
    nrpc_server *server = NULL;
    nrpc_server_options o;
    nrpc_server_defaults(&o);
    o.loops = 1;
    assert_int_equal(nrpc_server_new(&o, &server), 0);
    assert_int_equal(nrpc_server_add_service(server, &service, handlers, service.n_methods, NULL),
                     0);
    assert_int_equal(nrpc_server_listen(server, address), 0);
    assert_int_equal(nrpc_server_start(server), 0);
    return server;
}
