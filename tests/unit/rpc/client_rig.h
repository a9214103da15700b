/* client_rig.h — what the tests of the client's side share: servers of ours by address, calls that
 * remember what came of them, and a loop to run them on. */
#ifndef NRPC_TEST_CLIENT_RIG_H
#define NRPC_TEST_CLIENT_RIG_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "rpc/base/clock.h"
#include "rpc/client/inner.h"
#include "tests/unit/rpc/echo_service.h"

struct ask {
    int method;
    const char *text;          /* the request */
    unsigned requests;         /* 0 is 1 */
    bool idempotent, open_end; /* open_end: no half-close */
    size_t pad;                /* zero bytes behind the text */
    nrpc_call_options options;
    /* what came */
    struct buf data;
    unsigned messages, attempts, order; /* order: the how manieth to end, from 1 */
    int starts, ends;
    nrpc_status st;
    char peer[ADDRESS_TEXT_MAX];
    nrpc_call *call;
    nrpc_method copy;
    void (*on_end)(struct ask *a);
};
extern nrpc_loop *rig_loop;
extern nrpc_channel *rig_channel;

nrpc_server *rig_server(const char *address, const nrpc_server_options *o, bool health);
void rig_server_down(nrpc_server *s, uint32_t grace_ms);
void rig_path(char out[64], int number); /* unix:/tmp/..., of this process */

void rig_channel_up(const nrpc_channel_options *o); /* a loop and a channel on this thread */
void rig_channel_down(void);
/* [loop] */
void rig_ask_start(struct ask *a);
/* Starts all at once and runs the loop until the last one ended. */
void rig_ask_all(struct ask *asks, size_t n);
void rig_ask_begin(struct ask *asks, size_t n); /* starts them only */
void rig_finish(void);                          /* runs until all that were begun have ended */
nrpc_code rig_ask(const char *text);            /* one unary call, its code */
void rig_ask_done(struct ask *a);
void rig_idle(uint64_t ms); /* the loop works, nobody waits */
/* Runs the loop until check(ctx); fails the test after ten seconds. */
void rig_until(bool (*check)(void *ctx), void *ctx);
void rig_nothing_left(void);

#endif
