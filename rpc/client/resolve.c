/* DNS names.  getaddrinfo blocks, so it runs on a thread of the channel's own, never on the loop.
 */
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/client/inner.h"

struct resolve {
    nrpc_job job;
    struct subchannel *sub;
    char host[ADDRESS_MAX], port[8];
    int error; /* of getaddrinfo */
    char found[RESOLVED_MAX][64];
    unsigned n_found;
};

static void work(nrpc_job *j)
{
    struct resolve *r = CONTAINER_OF(j, struct resolve, job);
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
                                    .ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV };
    struct addrinfo *list = NULL;
    r->error = getaddrinfo(r->host, r->port, &hints, &list);
    for (struct addrinfo *a = list; r->error == 0 && a != NULL && r->n_found < RESOLVED_MAX;
         a = a->ai_next) {
        char host[48];
        if (getnameinfo(a->ai_addr, a->ai_addrlen, host, sizeof host, NULL, 0, NI_NUMERICHOST) != 0)
            continue;
        snprintf(r->found[r->n_found++], sizeof r->found[0],
                 a->ai_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, r->port);
    }
    if (list != NULL)
        freeaddrinfo(list);
}

static void done(nrpc_task *t, nrpc_loop *loop)
{
    (void) loop;
    struct resolve *r = CONTAINER_OF(t, struct resolve, job.done);
    struct subchannel *sub = r->sub;
    nrpc_channel *ch = sub->channel;
    ch->resolving--;
    if (ch->closed) {
        channel_check_gone(ch);
    } else if (r->error != 0 || r->n_found == 0) {
        char why[128];
        snprintf(why, sizeof why, "%s",
                 r->error != 0 ? gai_strerror(r->error) : "the name has no address");
        subchannel_fail(sub, why);
    } else {
        memcpy(sub->resolved, r->found, sizeof sub->resolved);
        sub->n_resolved = r->n_found;
        sub->next_resolved = 0;
        subchannel_try(sub);
    }
    alloc_free(r);
}

int resolve_start(struct subchannel *sub)
{
    nrpc_channel *ch = sub->channel;
    const char *colon = strrchr(sub->address, ':');
    if (colon == NULL || strlen(colon + 1) >= sizeof(((struct resolve *) 0)->port))
        return NRPC_E_INVAL;
    if (ch->resolver == NULL) {
        int r = nrpc_pool_new(1, SUBCHANNELS_MAX, &ch->resolver);
        if (r < 0)
            return r;
    }
    struct resolve *job = alloc_zero(1, sizeof *job);
    if (job == NULL)
        return NRPC_E_NOMEM;
    job->sub = sub;
    snprintf(job->host, sizeof job->host, "%.*s", (int) (colon - sub->address), sub->address);
    snprintf(job->port, sizeof job->port, "%s", colon + 1);
    job->job = (nrpc_job){ .done.run = done, .work = work, .home = ch->loop };
    int r = nrpc_pool_submit(ch->resolver, &job->job);
    if (r < 0)
        alloc_free(job);
    else
        ch->resolving++;
    return r;
}
