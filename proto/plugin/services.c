/* Services: method tables, handler structs, typed helpers of both sides. */
#include "gen.h"

#include <string.h>
#include <nrpc/gateway.pb-c.h>

enum { TAG_ROUTE = 50901, TAG_PB_C_FILE = 1019, TAG_C_PACKAGE = 6 };

/* The four kinds in the order of nrpc_kind: bit 0 server streams, bit 1 client streams. */
static const char *const kind_names[] = { "NRPC_UNARY", "NRPC_SERVER_STREAM", "NRPC_CLIENT_STREAM",
                                          "NRPC_BIDI" };

struct method {
    const method_proto *proto;
    unsigned kind;
    bool idempotent;
    const char *element;            /* "pkg.Service.Method", for errors */
    const char *function;           /* pkg_service_method */
    const char *index;              /* PKG_SERVICE_METHOD_METHOD */
    const char *member;             /* method */
    const char *input, *output;     /* C types */
    const char *in_desc, *out_desc; /* descriptors */
};
struct service {
    const service_proto *proto;
    const char *full, *prefix, *upper;
    struct method *methods;
    size_t n_methods;
};

/* protoc-gen-c's c_package would change every name that we derive. */
static bool check_type(struct gen *g, const char *element, const char *type)
{
    const file_proto *file = NULL;
    if (gen_find_message(g, type, &file) == NULL)
        return gen_fail(g, element, "the message %s is not described in the request", type);
    ProtobufCBinaryData o = gen_option(g, (const ProtobufCMessage *) file->options, TAG_PB_C_FILE);
    if (wire_has_field(o.data, o.len, TAG_C_PACKAGE))
        return gen_fail(g, element, "%s comes from %s, whose option c_package is not supported",
                        type, file->name);
    return true;
}

static bool read_idempotent(struct gen *g, struct method *m)
{
    const Google__Protobuf__MethodOptions *options = m->proto->options;
    m->idempotent = false;
    if (options == NULL)
        return true;
    m->idempotent = options->has_idempotency_level &&
                    options->idempotency_level !=
                        GOOGLE__PROTOBUF__METHOD_OPTIONS__IDEMPOTENCY_LEVEL__IDEMPOTENCY_UNKNOWN;
    ProtobufCBinaryData bytes = gen_option(g, &options->base, TAG_ROUTE);
    if (bytes.len == 0)
        return true;
    Nrpc__RouteOptions *route = NULL;
    if (wire_is_sane(&nrpc__route_options__descriptor, bytes.data, bytes.len, 0))
        route = nrpc__route_options__unpack(NULL, bytes.len, bytes.data);
    if (route == NULL)
        return gen_fail(g, m->element, "option (nrpc.route) is not a RouteOptions message");
    m->idempotent |= route->idempotent;
    nrpc__route_options__free_unpacked(route, NULL);
    return true;
}

static bool claim_method(struct gen *g, const struct method *m)
{
    static const char *const suffixes[] = { "",          "_start", "_send", "_request",
                                            "_response", "_reply", "_emit" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (!gen_claim(g, gen_text(g, "%s%s", m->function, suffixes[i]), m->element))
            return false;
    return gen_claim(g, m->index, m->element);
}

static bool read_method(struct gen *g, const struct service *s, const method_proto *proto,
                        struct method *m)
{
    m->proto = proto;
    m->element = gen_text(g, "%s.%s", s->full, proto->name);
    const char *lower = name_lower(g, proto->name);
    m->function = gen_text(g, "%s_%s", s->prefix, lower);
    m->index = gen_text(g, "%s_METHOD_%s", s->upper, name_upper(g, lower));
    m->member = name_member(g, proto->name);
    m->kind = (proto->has_server_streaming && proto->server_streaming ? 1u : 0u) |
              (proto->has_client_streaming && proto->client_streaming ? 2u : 0u);
    m->input = name_type(g, proto->input_type);
    m->output = name_type(g, proto->output_type);
    m->in_desc = name_descriptor(g, proto->input_type);
    m->out_desc = name_descriptor(g, proto->output_type);
    return check_type(g, m->element, proto->input_type) &&
           check_type(g, m->element, proto->output_type) && read_idempotent(g, m) &&
           claim_method(g, m);
}

static bool read_service(struct gen *g, const service_proto *proto, struct service *s)
{
    s->proto = proto;
    s->full = name_join(g, g->file->package != NULL ? g->file->package : "", proto->name);
    s->prefix = name_prefix(g, s->full);
    s->upper = name_upper(g, s->prefix);
    s->n_methods = proto->n_method;
    s->methods = arena_zero(&g->arena, s->n_methods + 1, sizeof *s->methods);
    if (s->methods == NULL)
        return gen_fail(g, s->full, "out of memory");
    static const char *const suffixes[] = { "service", "methods", "handlers", "register" };
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++)
        if (!gen_claim(g, gen_text(g, "%s_%s", s->prefix, suffixes[i]), s->full))
            return false;
    if (!gen_claim(g, gen_text(g, "%s_METHODS", s->upper), s->full))
        return false;
    for (size_t i = 0; i < s->n_methods; i++)
        if (!read_method(g, s, proto->method[i], &s->methods[i]))
            return false;
    return true;
}

static void emit_table(struct gen *g, const struct service *s)
{
    struct buf *c = &g->source;
    if (s->n_methods > 0)
        buf_printf(c, "\nstatic const nrpc_method %s_methods[] = {\n", s->prefix);
    for (size_t i = 0; i < s->n_methods; i++) {
        const struct method *m = &s->methods[i];
        const char *path = gen_text(g, "/%s/%s", s->full, m->proto->name);
        buf_printf(c, "    { %s, %s, %s, %s, &%s, &%s },\n", name_text(g, m->proto->name),
                   name_text(g, path), kind_names[m->kind], m->idempotent ? "true" : "false",
                   m->in_desc, m->out_desc);
    }
    if (s->n_methods > 0)
        buf_puts(c, "};\n");
    buf_printf(c, "\nconst nrpc_service %s_service = {\n    %s, ", s->prefix,
               name_text(g, s->full));
    if (s->n_methods > 0)
        buf_printf(c, "%s_methods, %s_METHODS\n};\n", s->prefix, s->upper);
    else
        buf_puts(c, "NULL, 0\n};\n");
}

static void emit_indexes(struct gen *g, const struct service *s)
{
    struct buf *h = &g->header;
    buf_puts(h, "enum {\n");
    for (size_t i = 0; i < s->n_methods; i++)
        buf_printf(h, "    %s,\n", s->methods[i].index);
    buf_printf(h, "    %s_METHODS /* how many */\n};\n", s->upper);
}

static void emit_handlers(struct gen *g, const struct service *s)
{
    struct buf *h = &g->header;
    buf_printf(h, "\n/* One entry a method; an empty one answers UNIMPLEMENTED.  Lent to the "
                  "server: keep it until\n"
                  " * nrpc_server_free.  `all` is the same table by index. */\ntypedef union {\n   "
                  " struct {\n");
    for (size_t i = 0; i < s->n_methods; i++)
        buf_printf(h, "        nrpc_handler %s;\n", s->methods[i].member);
    buf_printf(h, "    };\n    nrpc_handler all[%s_METHODS];\n} %s_handlers;\n", s->upper,
               s->prefix);
    buf_printf(
        h,
        "/* [setup] See nrpc_server_add_service. */\n"
        "static inline int %s_register(nrpc_server *server, const %s_handlers *handlers,\n"
        "                              void *service_ctx)\n{\n"
        "    return nrpc_server_add_service(server, &%s_service, handlers->all, %s_METHODS,\n"
        "                                   service_ctx);\n}\n",
        s->prefix, s->prefix, s->prefix, s->upper);
}

/* What both sides read out of a message. */
static void emit_bodies(struct buf *h, const struct method *m)
{
    const struct {
        const char *suffix, *type;
    } sides[] = { { "request", m->input }, { "response", m->output } };
    for (size_t i = 0; i < 2; i++)
        buf_printf(h,
                   "static inline const %s *%s_%s(const nrpc_msg *m)\n{\n"
                   "    return (const %s *) nrpc_msg_body(m);\n}\n",
                   sides[i].type, m->function, sides[i].suffix, sides[i].type);
}

static void emit_server(struct buf *h, const struct method *m)
{
    bool streams = (m->kind & 1) != 0;
    buf_printf(h,
               "/* Server: %s. */\n"
               "static inline int %s_%s(nrpc_call *call, const %s *response)\n{\n"
               "    return %s(call, (const ProtobufCMessage *) response);\n}\n",
               streams ? "one more message of the answer, as nrpc_call_send"
                       : "the answer, as nrpc_call_reply",
               m->function, streams ? "emit" : "reply", m->output,
               streams ? "nrpc_call_send" : "nrpc_call_reply");
}

static void emit_client_async(struct buf *h, const struct service *s, const struct method *m)
{
    buf_printf(
        h,
        "/* Client: opens the call, as nrpc_channel_start; then %s_send. */\n"
        "static inline int %s_start(nrpc_channel *channel, const nrpc_call_options *options,\n"
        "                           const nrpc_events *events, void *state, nrpc_call "
        "**out_call)\n{\n"
        "    return nrpc_channel_start(channel, &%s_service.methods[%s],\n"
        "                              options, events, state, out_call);\n}\n",
        m->function, m->function, s->prefix, m->index);
    if ((m->kind & 2) != 0) {
        buf_printf(
            h,
            "/* Client: one more message; nrpc_call_half_close says that it was the last. */\n"
            "static inline int %s_send(nrpc_call *call, const %s *request)\n{\n"
            "    return nrpc_call_send(call, (const ProtobufCMessage *) request);\n}\n",
            m->function, m->input);
        return;
    }
    buf_printf(h,
               "/* Client: the one request, and the half-close behind it. */\n"
               "static inline int %s_send(nrpc_call *call, const %s *request)\n{\n"
               "    int result = nrpc_call_send(call, (const ProtobufCMessage *) request);\n"
               "    return result < 0 ? result : nrpc_call_half_close(call);\n}\n",
               m->function, m->input);
}

static void emit_client_unary(struct buf *h, const struct service *s, const struct method *m)
{
    buf_printf(
        h,
        "/* Client, blocking: OK gives *out_message (free it) and *out_response inside it; else "
        "both are NULL. */\n"
        "static inline nrpc_code %s(nrpc_client *client, const nrpc_client_options *options,\n"
        "                           const %s *request, nrpc_msg **out_message,\n"
        "                           const %s **out_response, nrpc_status *status)\n{\n"
        "    nrpc_msg *message = NULL;\n"
        "    nrpc_code code = nrpc_client_unary(client, &%s_service.methods[%s],\n"
        "                                       options, (const ProtobufCMessage *) request, "
        "&message, status);\n"
        "    *out_message = message;\n"
        "    *out_response = message == NULL ? NULL : %s_response(message);\n"
        "    return code;\n}\n",
        m->function, m->input, m->output, s->prefix, m->index, m->function);
}

static void emit_client_stream(struct buf *h, const struct service *s, const struct method *m)
{
    buf_printf(
        h,
        "/* Client, blocking: on_message for each message in order; it owns m, and returns false "
        "to cancel. */\n"
        "static inline nrpc_code %s(nrpc_client *client, const nrpc_client_options *options,\n"
        "                           const %s *request, bool (*on_message)(void *ctx, nrpc_msg "
        "*m),\n"
        "                           void *ctx, nrpc_status *status)\n{\n"
        "    return nrpc_client_stream(client, &%s_service.methods[%s],\n"
        "                              options, (const ProtobufCMessage *) request, on_message, "
        "ctx, status);\n}\n",
        m->function, m->input, s->prefix, m->index);
}

static void emit_method(struct gen *g, const struct service *s, const struct method *m)
{
    struct buf *h = &g->header;
    buf_printf(h, "\n/* ---- %s%s%s: %s -> %s ---- */\n", m->proto->name,
               (m->kind & 2) ? " (client stream)" : "", (m->kind & 1) ? " (server stream)" : "",
               m->proto->input_type + (m->proto->input_type[0] == '.'),
               m->proto->output_type + (m->proto->output_type[0] == '.'));
    emit_bodies(h, m);
    emit_server(h, m);
    emit_client_async(h, s, m);
    if (m->kind == 0)
        emit_client_unary(h, s, m);
    else if (m->kind == 1)
        emit_client_stream(h, s, m);
}

bool emit_services(struct gen *g)
{
    for (size_t i = 0; i < g->file->n_service; i++) {
        struct service s = { 0 };
        if (!read_service(g, g->file->service[i], &s))
            return false;
        buf_printf(&g->header, "\n/* ==== %s ==== */\nextern const nrpc_service %s_service;\n",
                   s.full, s.prefix);
        emit_table(g, &s);
        if (s.n_methods == 0)
            continue;
        emit_indexes(g, &s);
        emit_handlers(g, &s);
        for (size_t j = 0; j < s.n_methods; j++)
            emit_method(g, &s, &s.methods[j]);
    }
    return true;
}
