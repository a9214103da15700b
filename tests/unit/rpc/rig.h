/* rig.h — both sides of the runtime in one process: a server with test.Echo on threads of its own,
 * a channel on the test's thread.  A failed expectation fails the test. */
#ifndef NRPC_TEST_RIG_H
#define NRPC_TEST_RIG_H
#include "rpc/base/buf.h"
#include "tests/unit/rpc/echo_service.h"

/* One call: what it is to do, then what came of it.  rig_done frees. */
struct rig_call {
    const nrpc_method *method; /* NULL: test.Echo's Unary */
    const char *text;          /* the request; NULL: an empty one */
    size_t pad;                /* zero bytes behind it */
    unsigned requests;         /* 0 is 1 */
    nrpc_call_options options;
    /* After start, before the first send.  Then before each send, i = 0, 1 ...; may be NULL. */
    void (*on_started)(struct rig_call *r);
    void (*before_send)(struct rig_call *r, unsigned i);
    bool hold_open;        /* no half-close */
    unsigned cancel_after; /* messages; 0 never */
    void *ctx;

    nrpc_call *call;        /* NULL once it ended */
    struct buf data, flags; /* of all messages; '1' or '0' for each: was it compressed */
    unsigned messages;
    int heads, ends;
    nrpc_compression encoding; /* of the answer */
    struct buf head, trailer;  /* "key=value;" of each pair that came */
    nrpc_status st;
};

extern nrpc_server *rig_server;
extern nrpc_channel *rig_channel;
extern nrpc_loop *rig_loop;
extern char rig_address[64];

/* Server and channel; either may be NULL for defaults (one loop).  setup runs before the start. */
void rig_up(const nrpc_server_options *so, const nrpc_channel_options *co,
            void (*setup)(nrpc_server *s));
/* Only the channel, to a server of somebody else. */
void rig_connect(const char *address, const nrpc_channel_options *co);
/* Starts all at once and runs the loop until the last one ended. */
void rig_run(struct rig_call *calls, size_t n);
void rig_done(struct rig_call *r);
/* Runs fn(ctx) on the channel's loop, which must not run. */
void rig_on_loop(void (*fn)(void *ctx), void *ctx);
/* Lets the loop work until *what is true; the test fails after 20 s. */
void rig_until(bool (*what)(void *ctx), void *ctx);
/* Both down; then every gauge must be zero. */
void rig_down(void);

#endif
