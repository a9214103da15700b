/* request.h — what users ask for.  The same requests go through both doors. */
#ifndef NOVEL_LOAD_REQUEST_H
#define NOVEL_LOAD_REQUEST_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum request_kind {
    REQUEST_HEALTH,
    REQUEST_CHARACTERS,
    REQUEST_CHARACTER,
    REQUEST_SIMULATION,
    REQUEST_STREAM
};
struct request {
    enum request_kind kind;
    const char *path;      /* "/characters/pilot" */
    const char *rpc;       /* "GetCharacter" */
    const char *character; /* of REQUEST_CHARACTER */
};
/* What a step's users ask for in turn, and what its row is called. */
struct endpoint {
    const char *name;  /* "/characters/{id}": the row's */
    const char *words; /* what --endpoints calls it: "details" */
    const struct request *const *requests;
    size_t n;
};
extern const struct endpoint endpoint_health, endpoint_characters, endpoint_engineer,
    endpoint_pilot, endpoint_scientist, endpoint_details, endpoint_mixed, endpoint_simulation,
    endpoint_stream;
/* By what --endpoints calls it; NULL: there is none. */
const struct endpoint *endpoint_find(const char *words);
/* "health, characters, ..." for messages. */
const char *endpoint_list(void);

enum { REQUEST_CAST = 3 };
extern const char *const request_cast[REQUEST_CAST]; /* of simulations, in the order sent */

#endif
