#include "gateway/reflect.h"

#include <stdio.h>
#include <string.h>

#include "gateway/wire.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "rpc/base/clock.h"
#include "rpc/base/map.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest request_type;
typedef Grpc__Reflection__V1__ServerReflectionResponse response_type;

enum { FILES_MAX = 4096, SET_BYTES_MAX = 64 << 20, MESSAGE_BYTES_MAX = 64 << 20 };

/* Both versions say the same bytes under two names. */
static const nrpc_method methods[] = {
    { "ServerReflectionInfo", "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      NRPC_BIDI, false, &grpc__reflection__v1__server_reflection_request__descriptor,
      &grpc__reflection__v1__server_reflection_response__descriptor },
    { "ServerReflectionInfo", "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      NRPC_BIDI, false, &grpc__reflection__v1__server_reflection_request__descriptor,
      &grpc__reflection__v1__server_reflection_response__descriptor },
};

struct fetch {
    nrpc_client *client;
    const nrpc_method *method;
    uint64_t end_ns;
    struct map files;   /* names that are in the set */
    struct map wanted;  /* names of imports, by order of discovery; the value is not used */
    size_t next_wanted; /* entries of wanted before it were asked for */
    struct buf *out;
    char *error; /* 512 bytes */
    nrpc_msg *response;
};

static int fail(struct fetch *f, const char *what, const char *why)
{
    snprintf(f->error, 512, "reflection: %s: %s", what, why);
    return NRPC_E_PROTO;
}

static bool on_message(void *ctx, nrpc_msg *m)
{
    struct fetch *f = ctx;
    nrpc_msg_free(f->response);
    f->response = m;
    return true;
}

/* One question, one answer: a stream each, so that nothing is in flight between them. */
static int ask(struct fetch *f, const request_type *q, const char *what,
               const response_type **out_answer)
{
    uint64_t now = clock_mono_ns();
    nrpc_client_options o = { .options = { .wait_for_ready = true } };
    nrpc_status st = NRPC_STATUS_INIT;
    o.options.timeout_ms = now < f->end_ns ? (f->end_ns - now) / 1000000 + 1 : 1;
    nrpc_code code = nrpc_client_stream(f->client, f->method, &o, &q->base, on_message, f, &st);
    int r = 0;
    if (code == NRPC_UNIMPLEMENTED)
        r = NRPC_E_INVAL;
    else if (code != NRPC_OK)
        r = fail(f, what, st.message == NULL ? nrpc_code_name(code) : st.message);
    else if (f->response == NULL)
        r = fail(f, what, "the server said nothing");
    else
        *out_answer = (const response_type *) nrpc_msg_body(f->response);
    nrpc_status_clear(&st);
    return r;
}

static nrpc_slice text_of(const struct wire_field *v)
{
    return (nrpc_slice){ v->data, v->size };
}

/* FileDescriptorProto: its name (1) and what it imports (3). */
static int add_file(struct fetch *f, nrpc_slice file)
{
    enum { NAME = 1, DEPENDENCY = 3, SET_FILE = 1 };
    static const char seen[1];
    struct wire_reader r = wire_reader_of(file.data, file.size);
    struct wire_field v;
    nrpc_slice name = { NULL, 0 };
    int more;
    while ((more = wire_next(&r, &v)) > 0)
        if (v.number == NAME && v.type == WIRE_BYTES)
            name = text_of(&v);
    if (more < 0 || name.size == 0)
        return fail(f, "a file", "is not a FileDescriptorProto");
    if (map_get(&f->files, (const char *) name.data, name.size) != NULL)
        return 0;
    if (f->files.count == FILES_MAX || f->out->size + file.size > SET_BYTES_MAX)
        return fail(f, "the server's files", "are too many");
    if (map_set(&f->files, (const char *) name.data, name.size, (void *) seen, NULL) < 0)
        return NRPC_E_NOMEM;
    wire_put_bytes(f->out, SET_FILE, file.data, file.size);
    r = wire_reader_of(file.data, file.size);
    while (wire_next(&r, &v) > 0)
        if (v.number == DEPENDENCY && v.type == WIRE_BYTES &&
            map_get(&f->wanted, (const char *) v.data, v.size) == NULL &&
            map_set(&f->wanted, (const char *) v.data, v.size, (void *) seen, NULL) < 0)
            return NRPC_E_NOMEM;
    return f->out->failed ? NRPC_E_NOMEM : 0;
}

static int add_files(struct fetch *f, const response_type *answer)
{
    int r = 0;
    for (size_t i = 0; i < answer->file_descriptor_response->n_file_descriptor_proto && r == 0;
         i++) {
        ProtobufCBinaryData d = answer->file_descriptor_response->file_descriptor_proto[i];
        r = add_file(f, (nrpc_slice){ d.data, d.len });
    }
    return r;
}

static bool has_files(const response_type *a)
{
    return a->message_response_case ==
           GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_FILE_DESCRIPTOR_RESPONSE;
}

static int fetch_service(struct fetch *f, const char *name)
{
    request_type q = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    const response_type *a;
    if (strncmp(name, "grpc.reflection.", 16) == 0)
        return 0;
    q.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_CONTAINING_SYMBOL;
    q.file_containing_symbol = (char *) name;
    int r = ask(f, &q, name, &a);
    if (r < 0)
        return r;
    return has_files(a) ? add_files(f, a) : fail(f, name, "the server does not know its file");
}

/* Servers may send a file without its imports.  One that the server lacks is left out: whether it
 * matters shows when the set is compiled. */
static int fetch_imports(struct fetch *f)
{
    int r = 0;
    while (r == 0 && f->next_wanted < f->wanted.count) {
        const struct map_entry *e = &f->wanted.entries[f->next_wanted++];
        request_type q = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
        const response_type *a;
        if (map_get(&f->files, e->key, e->key_size) != NULL)
            continue;
        q.message_request_case =
            GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_FILE_BY_FILENAME;
        q.file_by_filename = e->key;
        r = ask(f, &q, e->key, &a);
        if (r == 0 && has_files(a))
            r = add_files(f, a);
    }
    return r;
}

static int fetch_all(struct fetch *f)
{
    request_type q = GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__INIT;
    const response_type *a;
    q.message_request_case =
        GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_LIST_SERVICES;
    q.list_services = (char *) "*";
    int r = ask(f, &q, "the list of services", &a);
    if (r < 0)
        return r;
    if (a->message_response_case !=
        GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_LIST_SERVICES_RESPONSE)
        return fail(f, "the list of services", "is missing");
    nrpc_msg *list = f->response;
    f->response = NULL;
    for (size_t i = 0; i < a->list_services_response->n_service && r == 0; i++)
        r = fetch_service(f, a->list_services_response->service[i]->name);
    nrpc_msg_free(list);
    return r == 0 ? fetch_imports(f) : r;
}

int reflect_fetch(const nrpc_channel_options *channel, uint32_t timeout_ms, struct buf *out,
                  char error[static 512])
{
    struct fetch f = { .end_ns = clock_mono_ns() + (uint64_t) timeout_ms * 1000000,
                       .out = out,
                       .error = error };
    nrpc_channel_options o = *channel;
    size_t before = out->size;
    o.max_message_bytes = MESSAGE_BYTES_MAX;
    snprintf(error, 512, "reflection: out of memory");
    int r = nrpc_client_new(&o, &f.client);
    for (size_t i = 0; i < sizeof methods / sizeof *methods && r == 0; i++) {
        f.method = &methods[i];
        r = fetch_all(&f);
        if (r != NRPC_E_INVAL)
            break;
        fail(&f, o.target, "the server does not have the reflection service");
        r = i + 1 < sizeof methods / sizeof *methods ? 0 : r;
    }
    nrpc_msg_free(f.response);
    nrpc_client_free(f.client);
    map_done(&f.files);
    map_done(&f.wanted);
    if (r < 0)
        out->size = before;
    return r;
}
