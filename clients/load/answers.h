/* answers.h — is this what was asked for?  Status codes do not say: a body is checked member by
 * member.  A body that is the same, byte by byte, as one that was found good is good.  Pure; one
 * object a thread. */
#ifndef NOVEL_LOAD_ANSWERS_H
#define NOVEL_LOAD_ANSWERS_H
#include <novelengine/v1/novel_engine.pb-c.h>
#include "clients/load/json.h"
#include "clients/load/request.h"

enum { ANSWERS_KNOWN = 8, ANSWERS_WHY_SIZE = 160 };
struct answers {
    struct json json;
    struct answers_known {
        const struct request *request;
        struct buf body;
    } known[ANSWERS_KNOWN];
    char why[ANSWERS_WHY_SIZE]; /* of the last one that was not good */
    char simulation[128];       /* the id of the last simulation that was good; "": it had none */
};
void answers_done(struct answers *a); /* a zeroed one is new */

/* A whole HTTP body.  turns: what a simulation was asked for.  false: a->why says what is wrong. */
bool answers_check_json(struct answers *a, const struct request *r, int32_t turns, const char *body,
                        size_t size);
/* A whole server-sent event stream of a simulation.  *out_failed: the stream ended with an error
 * event; why names it. */
bool answers_check_events(struct answers *a, int32_t turns, const char *body, size_t size,
                          bool *out_failed);
/* The same of a message of the RPC that belongs to r. */
bool answers_check_message(struct answers *a, const struct request *r, int32_t turns,
                           const ProtobufCMessage *m);
bool answers_check_result(struct answers *a, int32_t turns,
                          const Novelengine__V1__SimulationResult *result);

#endif
