/* grpc.channelz.v1: the answers.  What is counted stays on the loop that counts it; channelz_gather
 * visits the loops and comes back here, on the loop of the call.  The process's channels are not
 * on a server's loops, so GetTopChannels finds none and GetChannel and GetSubchannel nothing. */
#include <arpa/inet.h>
#include <string.h>

#include "google/protobuf/timestamp.pb-c.h"
#include "google/protobuf/wrappers.pb-c.h"
#include "grpc/channelz/v1/channelz.pb-c.h"
#include "rpc/base/clock.h"
#include "rpc/io/address.h"
#include "rpc/server/channelz.h"

typedef Grpc__Channelz__V1__SocketRef socket_ref;
typedef Google__Protobuf__Timestamp timestamp;

/* ---- parts of answers
 * ----------------------------------------------------------------------------- */
static timestamp stamp(uint64_t wall_ns)
{
    timestamp t = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
    t.seconds = (int64_t) (wall_ns / 1000000000);
    t.nanos = (int32_t) (wall_ns % 1000000000);
    return t;
}

/* What was a moment of the monotonic clock, as wall time. */
static uint64_t wall_of(uint64_t mono_ns)
{
    return clock_wall_ns() - (clock_mono_ns() - mono_ns);
}

static socket_ref ref_of(const struct channelz_name *name)
{
    socket_ref ref = GRPC__CHANNELZ__V1__SOCKET_REF__INIT;
    ref.socket_id = (int64_t) name->id;
    ref.name = (char *) (uintptr_t) name->text;
    return ref;
}

/* An address and the parts it is made of. */
struct address_parts {
    Grpc__Channelz__V1__Address address;
    Grpc__Channelz__V1__Address__TcpIpAddress tcp;
    Grpc__Channelz__V1__Address__UdsAddress uds;
    struct address parsed;
};

static Grpc__Channelz__V1__Address *address_of(struct address_parts *a, const char *text)
{
    a->address = (Grpc__Channelz__V1__Address) GRPC__CHANNELZ__V1__ADDRESS__INIT;
    if (text[0] == '\0' || address_parse(text, &a->parsed) < 0)
        return NULL;
    if (strncmp(text, "unix:", 5) == 0) {
        a->uds = (Grpc__Channelz__V1__Address__UdsAddress)
            GRPC__CHANNELZ__V1__ADDRESS__UDS_ADDRESS__INIT;
        a->uds.filename = (char *) (uintptr_t) text + 5;
        a->address.address_case = GRPC__CHANNELZ__V1__ADDRESS__ADDRESS_UDS_ADDRESS;
        a->address.uds_address = &a->uds;
        return &a->address;
    }
    bool v6 = a->parsed.sa.any.sa_family == AF_INET6;
    a->tcp = (Grpc__Channelz__V1__Address__TcpIpAddress)
        GRPC__CHANNELZ__V1__ADDRESS__TCP_IP_ADDRESS__INIT;
    a->tcp.ip_address.len = v6 ? 16 : 4;
    a->tcp.ip_address.data =
        v6 ? (uint8_t *) &a->parsed.sa.v6.sin6_addr : (uint8_t *) &a->parsed.sa.v4.sin_addr;
    a->tcp.port = ntohs(v6 ? a->parsed.sa.v6.sin6_port : a->parsed.sa.v4.sin_port);
    a->address.address_case = GRPC__CHANNELZ__V1__ADDRESS__ADDRESS_TCPIP_ADDRESS;
    a->address.tcpip_address = &a->tcp;
    return &a->address;
}

/* ---- servers
 * ---------------------------------------------------------------------------------------- */
struct server_parts {
    Grpc__Channelz__V1__Server server;
    Grpc__Channelz__V1__ServerRef ref;
    Grpc__Channelz__V1__ServerData data;
    Grpc__Channelz__V1__ChannelTrace trace;
    timestamp created, last_call;
    struct channelz_name names[LISTENERS_MAX];
    socket_ref listeners[LISTENERS_MAX], *pointers[LISTENERS_MAX];
};

static void server_fill(struct server_parts *p, const struct channelz_gather *g)
{
    const nrpc_server *s = g->server;
    p->server = (Grpc__Channelz__V1__Server) GRPC__CHANNELZ__V1__SERVER__INIT;
    p->ref = (Grpc__Channelz__V1__ServerRef) GRPC__CHANNELZ__V1__SERVER_REF__INIT;
    p->data = (Grpc__Channelz__V1__ServerData) GRPC__CHANNELZ__V1__SERVER_DATA__INIT;
    p->trace = (Grpc__Channelz__V1__ChannelTrace) GRPC__CHANNELZ__V1__CHANNEL_TRACE__INIT;
    p->created = stamp(s->channelz.created_wall_ns);
    p->trace.creation_timestamp = &p->created;
    p->ref.server_id = (int64_t) s->channelz.id;
    if (s->n_listeners > 0)
        p->ref.name = (char *) (uintptr_t) listener_address(s->listeners[0]);
    p->data.trace = &p->trace;
    p->data.calls_started = (int64_t) g->calls.started;
    p->data.calls_succeeded = (int64_t) g->calls.succeeded;
    p->data.calls_failed = (int64_t) g->calls.failed;
    if (g->calls.last_started_ns != 0) {
        p->last_call = stamp(wall_of(g->calls.last_started_ns));
        p->data.last_call_started_timestamp = &p->last_call;
    }
    p->server.ref = &p->ref;
    p->server.data = &p->data;
    p->server.n_listen_socket = s->n_listeners;
    p->server.listen_socket = p->pointers;
    for (size_t i = 0; i < s->n_listeners; i++) {
        p->listeners[i] = (socket_ref) GRPC__CHANNELZ__V1__SOCKET_REF__INIT;
        p->listeners[i].socket_id = (int64_t) s->channelz.listener_ids[i];
        p->listeners[i].name = (char *) (uintptr_t) listener_address(s->listeners[i]);
        p->pointers[i] = &p->listeners[i];
    }
}

static void answer_servers(struct channelz_gather *g, nrpc_call *c)
{
    struct server_parts p;
    Grpc__Channelz__V1__GetServersResponse answer = GRPC__CHANNELZ__V1__GET_SERVERS_RESPONSE__INIT;
    answer.end = true;
    answer.n_server = g->start <= (int64_t) g->server->channelz.id ? 1 : 0;
    answer.server = (Grpc__Channelz__V1__Server *[]){ &p.server };
    server_fill(&p, g);
    nrpc_call_reply(c, &answer.base);
}

static void answer_server(struct channelz_gather *g, nrpc_call *c)
{
    struct server_parts p;
    Grpc__Channelz__V1__GetServerResponse answer = GRPC__CHANNELZ__V1__GET_SERVER_RESPONSE__INIT;
    answer.server = &p.server;
    server_fill(&p, g);
    nrpc_call_reply(c, &answer.base);
}

/* ---- sockets
 * ---------------------------------------------------------------------------------------- */
static void answer_sockets(struct channelz_gather *g, nrpc_call *c)
{
    socket_ref refs[CHANNELZ_PAGE], *pointers[CHANNELZ_PAGE];
    Grpc__Channelz__V1__GetServerSocketsResponse answer =
        GRPC__CHANNELZ__V1__GET_SERVER_SOCKETS_RESPONSE__INIT;
    answer.end = g->n_names <= g->max;
    answer.n_socket_ref = answer.end ? g->n_names : g->max;
    answer.socket_ref = pointers;
    for (size_t i = 0; i < answer.n_socket_ref; i++) {
        refs[i] = ref_of(&g->names[i]);
        pointers[i] = &refs[i];
    }
    nrpc_call_reply(c, &answer.base);
}

struct socket_parts {
    Grpc__Channelz__V1__Socket socket;
    Grpc__Channelz__V1__SocketData data;
    Grpc__Channelz__V1__Security security;
    Grpc__Channelz__V1__Security__Tls tls;
    socket_ref ref;
    struct address_parts local, remote;
    timestamp stream, sent, received;
    Google__Protobuf__Int64Value windows[2];
};

static timestamp *stamp_unless_never(timestamp *t, uint64_t mono_ns)
{
    if (mono_ns == 0)
        return NULL;
    *t = stamp(wall_of(mono_ns));
    return t;
}

static void socket_fill_data(struct socket_parts *p, const struct channelz_socket *s)
{
    const struct h2_counters *n = &s->counters;
    p->data = (Grpc__Channelz__V1__SocketData) GRPC__CHANNELZ__V1__SOCKET_DATA__INIT;
    p->data.streams_started = (int64_t) n->streams_started;
    p->data.streams_succeeded = (int64_t) n->streams_succeeded;
    p->data.streams_failed = (int64_t) n->streams_failed;
    p->data.messages_sent = (int64_t) n->messages_sent;
    p->data.messages_received = (int64_t) n->messages_received;
    p->data.keep_alives_sent = (int64_t) s->keepalives;
    p->data.last_remote_stream_created_timestamp =
        stamp_unless_never(&p->stream, n->last_stream_ns);
    p->data.last_message_sent_timestamp = stamp_unless_never(&p->sent, n->last_sent_ns);
    p->data.last_message_received_timestamp = stamp_unless_never(&p->received, n->last_received_ns);
    for (int i = 0; i < 2; i++) {
        p->windows[i] = (Google__Protobuf__Int64Value) GOOGLE__PROTOBUF__INT64_VALUE__INIT;
        p->windows[i].value = s->windows[i];
    }
    p->data.local_flow_control_window = &p->windows[0];
    p->data.remote_flow_control_window = &p->windows[1];
}

static void answer_socket(struct channelz_gather *g, nrpc_call *c)
{
    const struct channelz_socket *s = &g->socket;
    struct socket_parts p;
    if (s->name.id == 0) {
        nrpc_call_fail(c, NRPC_NOT_FOUND, "no socket has this id");
        return;
    }
    Grpc__Channelz__V1__GetSocketResponse answer = GRPC__CHANNELZ__V1__GET_SOCKET_RESPONSE__INIT;
    p.socket = (Grpc__Channelz__V1__Socket) GRPC__CHANNELZ__V1__SOCKET__INIT;
    p.ref = ref_of(&s->name);
    p.socket.ref = &p.ref;
    p.socket.local = address_of(&p.local, s->local);
    if (!s->listens) {
        p.socket.remote = address_of(&p.remote, s->name.text);
        socket_fill_data(&p, s);
        p.socket.data = &p.data;
    }
    if (s->cipher[0] != '\0') {
        p.tls = (Grpc__Channelz__V1__Security__Tls) GRPC__CHANNELZ__V1__SECURITY__TLS__INIT;
        p.tls.cipher_suite_case = GRPC__CHANNELZ__V1__SECURITY__TLS__CIPHER_SUITE_STANDARD_NAME;
        p.tls.standard_name = (char *) (uintptr_t) s->cipher;
        p.security = (Grpc__Channelz__V1__Security) GRPC__CHANNELZ__V1__SECURITY__INIT;
        p.security.model_case = GRPC__CHANNELZ__V1__SECURITY__MODEL_TLS;
        p.security.tls = &p.tls;
        p.socket.security = &p.security;
    }
    answer.socket = &p.socket;
    nrpc_call_reply(c, &answer.base);
}

/* ---- requests
 * --------------------------------------------------------------------------------------- */
static uint32_t page_of(int64_t max_results)
{
    return max_results <= 0 || max_results > CHANNELZ_PAGE ? CHANNELZ_PAGE : (uint32_t) max_results;
}

static void get_servers(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    const Grpc__Channelz__V1__GetServersRequest *q =
        (const Grpc__Channelz__V1__GetServersRequest *) nrpc_msg_body(request);
    channelz_gather(c, service_ctx, channelz_visit_calls, answer_servers,
                    (struct channelz_question){ .start = q->start_server_id });
    nrpc_msg_free(request);
}

static bool is_server(nrpc_call *c, const nrpc_server *s, int64_t id)
{
    if (id == (int64_t) s->channelz.id)
        return true;
    nrpc_call_fail(c, NRPC_NOT_FOUND, "no server has this id");
    return false;
}

static void get_server(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    const Grpc__Channelz__V1__GetServerRequest *q =
        (const Grpc__Channelz__V1__GetServerRequest *) nrpc_msg_body(request);
    if (is_server(c, service_ctx, q->server_id))
        channelz_gather(c, service_ctx, channelz_visit_calls, answer_server,
                        (struct channelz_question){ 0 });
    nrpc_msg_free(request);
}

static void get_server_sockets(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    const Grpc__Channelz__V1__GetServerSocketsRequest *q =
        (const Grpc__Channelz__V1__GetServerSocketsRequest *) nrpc_msg_body(request);
    if (is_server(c, service_ctx, q->server_id))
        channelz_gather(c, service_ctx, channelz_visit_names, answer_sockets,
                        (struct channelz_question){ q->start_socket_id, page_of(q->max_results) });
    nrpc_msg_free(request);
}

static void get_socket(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    const Grpc__Channelz__V1__GetSocketRequest *q =
        (const Grpc__Channelz__V1__GetSocketRequest *) nrpc_msg_body(request);
    channelz_gather(c, service_ctx, channelz_visit_socket, answer_socket,
                    (struct channelz_question){ .start = q->socket_id });
    nrpc_msg_free(request);
}

static void get_top_channels(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    Grpc__Channelz__V1__GetTopChannelsResponse answer =
        GRPC__CHANNELZ__V1__GET_TOP_CHANNELS_RESPONSE__INIT;
    answer.end = true;
    nrpc_call_reply(c, &answer.base);
    nrpc_msg_free(request);
}

static void get_channel(nrpc_call *c, void *service_ctx, nrpc_msg *request)
{
    (void) service_ctx;
    nrpc_call_fail(c, NRPC_NOT_FOUND, "no channel has this id");
    nrpc_msg_free(request);
}

#define METHOD(name, in, out)                                                                      \
    {                                                                                              \
#name, "/grpc.channelz.v1.Channelz/" #name, NRPC_UNARY, true,                              \
            &grpc__channelz__v1__##in##_request__descriptor,                                       \
            &grpc__channelz__v1__##out##_response__descriptor                                      \
    }
static const nrpc_method methods[] = {
    METHOD(GetTopChannels, get_top_channels, get_top_channels),
    METHOD(GetServers, get_servers, get_servers),
    METHOD(GetServer, get_server, get_server),
    METHOD(GetServerSockets, get_server_sockets, get_server_sockets),
    METHOD(GetChannel, get_channel, get_channel),
    METHOD(GetSubchannel, get_subchannel, get_subchannel),
    METHOD(GetSocket, get_socket, get_socket),
};
static const nrpc_service service = { "grpc.channelz.v1.Channelz", methods, ARRAY_SIZE(methods) };
static const nrpc_handler handlers[] = {
    { .request = get_top_channels },   { .request = get_servers }, { .request = get_server },
    { .request = get_server_sockets }, { .request = get_channel }, { .request = get_channel },
    { .request = get_socket },
};

int nrpc_server_add_channelz(nrpc_server *s)
{
    return nrpc_server_add_service(s, &service, handlers, ARRAY_SIZE(handlers), s);
}
