/* raw_server.h — a server of hand-made frames that misbehaves to order, on a thread of its own. */
#ifndef NRPC_TEST_RAW_SERVER_H
#define NRPC_TEST_RAW_SERVER_H
#include <stdbool.h>
#include <stdint.h>

/* What happens to one request. */
enum raw_act {
    RAW_OK,            /* echoes the first message's bytes */
    RAW_REFUSE,        /* RST_STREAM(REFUSED_STREAM) at its HEADERS */
    RAW_REFUSE_LATE,   /* the same once the request is whole */
    RAW_GOAWAY_BELOW,  /* GOAWAY with a last id below it, close */
    RAW_GOAWAY_OK,     /* GOAWAY with its id, then the answer, close */
    RAW_GOAWAY_TWICE,  /* GOAWAY(2^31-1), GOAWAY below it, close */
    RAW_CLOSE,         /* the connection is lost before any answer */
    RAW_HEADERS_CLOSE, /* the same after response headers */
    RAW_MESSAGE_CLOSE, /* the same after a message */
    RAW_FAIL,          /* trailers-only with `code` and `pushback` */
    RAW_HEADERS_FAIL,  /* headers, then trailers with `code` */
    RAW_RESET,         /* RST_STREAM(INTERNAL_ERROR) */
    RAW_HTTP_503,      /* no gRPC answer */
    RAW_SILENT         /* nothing */
};
struct raw_step {
    enum raw_act act;
    int code;
    const char *pushback;
};
struct raw_request {
    uint64_t at_ns;
    int connection; /* from 0, in order of acceptance */
    int previous;   /* grpc-previous-rpc-attempts, -1: absent */
    bool reset;     /* the client reset it */
    uint64_t bytes; /* of its body */
};
/* How a connection begins. */
enum raw_greeting {
    RAW_WELCOME,         /* SETTINGS */
    RAW_GOAWAY_FIRST,    /* GOAWAY without them, close */
    RAW_SETTINGS_GOAWAY, /* and GOAWAY(0) at once, close */
    RAW_SETTINGS_NOTICE, /* and GOAWAY(2^31-1) at once, which the streams outlive */
    RAW_SETTINGS_CLOSE,  /* and close */
    RAW_NOTHING_CLOSE    /* close */
};
struct raw_server_options {
    const struct raw_step *steps; /* of the i-th request; the last holds for all after it */
    int n_steps;
    enum raw_greeting greeting; /* of the first n_greetings connections */
    int n_greetings;
    uint32_t max_streams; /* announced; 0: not */
    uint32_t settings_ms; /* the SETTINGS come so late */
    bool no_settings;     /* or never */
    bool too_many_pings;  /* GOAWAY(ENHANCE_YOUR_CALM, "too_many_pings") at the first PING */
};
struct raw_server;
struct raw_server *raw_server_start(const char *address, const struct raw_server_options *o);
void raw_server_stop(struct raw_server *s); /* closes all, joins, frees */
/* Of requests whose HEADERS came, so far. */
int raw_server_requests(struct raw_server *s, struct raw_request *out, int max);
int raw_server_connections(struct raw_server *s);
int raw_server_pings(struct raw_server *s);

#endif
