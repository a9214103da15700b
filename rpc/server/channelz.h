/* channelz.h — how channelz asks all loops of a server: a task goes from loop to loop, collects on
 * each what only that loop may read, and ends on the loop of the call. */
#ifndef NRPC_SERVER_CHANNELZ_H
#define NRPC_SERVER_CHANNELZ_H
#include "rpc/io/address.h"
#include "rpc/server/inner.h"

enum { CHANNELZ_PAGE = 100, CHANNELZ_NAME_BYTES = ADDRESS_TEXT_MAX };

struct channelz_name {
    uint64_t id;
    char text[CHANNELZ_NAME_BYTES]; /* the peer's or the listener's address */
};
struct channelz_socket {
    struct channelz_name name; /* id 0: not found */
    bool listens;
    char local[CHANNELZ_NAME_BYTES]; /* "" when it is not known */
    char cipher[64];                 /* of TLS; "" without */
    struct h2_counters counters;
    uint64_t keepalives;
    int64_t windows[2]; /* ours, the peer's */
};
struct channelz_question {
    int64_t start; /* the least id, or the id itself */
    uint32_t max;
};
struct channelz_gather {
    nrpc_task task;
    nrpc_server *server;
    struct server_loop *home;
    size_t next; /* loop */
    nrpc_call_id call;
    void (*visit)(struct channelz_gather *g, struct server_loop *sl);
    void (*answer)(struct channelz_gather *g, nrpc_call *c);
    int64_t start;
    uint32_t max;
    struct call_totals calls;
    struct channelz_socket socket;
    size_t n_names; /* ascending by id, at most max + 1 */
    struct channelz_name names[2 * (CHANNELZ_PAGE + 1)];
};

/* [loop] Takes visit to every loop, then answer to the call if it still lives.  Without memory the
 * call fails here. */
void channelz_gather(nrpc_call *c, nrpc_server *s,
                     void (*visit)(struct channelz_gather *g, struct server_loop *sl),
                     void (*answer)(struct channelz_gather *g, nrpc_call *c),
                     struct channelz_question q);
/* Visits: sums of calls; the least max + 1 socket ids from start; the socket whose id is start. */
void channelz_visit_calls(struct channelz_gather *g, struct server_loop *sl);
void channelz_visit_names(struct channelz_gather *g, struct server_loop *sl);
void channelz_visit_socket(struct channelz_gather *g, struct server_loop *sl);

#endif
