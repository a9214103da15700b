/* errors.h — every error that the service answers with, in one registry: reason, gRPC code, what helps.
 * The HTTP status follows from the code and the route (gateway).  Each answer carries one
 * google.rpc.ErrorInfo {reason, domain "novelengine.v1", metadata.help}. */
#ifndef SERVER_SERVICE_ERRORS_H
#define SERVER_SERVICE_ERRORS_H
#include "rpc/nrpc.h"

enum error_reason {
    ERROR_CHARACTER_NOT_FOUND,
    ERROR_CHARACTER_EXISTS,
    ERROR_CHARACTER_LIMIT,
    ERROR_ETAG_MISMATCH,
    ERROR_SIMULATION_NOT_FOUND,
    ERROR_SIMULATION_RUNNING,
    ERROR_SIMULATION_FINISHED,
    ERROR_SIMULATION_FAILED,
    ERROR_SIMULATION_CANCELLED,
    ERROR_SIMULATION_DIRECTED,
    ERROR_SIMULATION_BEGUN,
    ERROR_DIRECTORS_FULL,
    ERROR_DIRECTION_FINISHED,
    ERROR_TURN_NOT_DONE,
    ERROR_EDIT_REJECTED,
    ERROR_STORY_NOT_READY,
    ERROR_ENGINE_CHANGED,
    ERROR_EVENT_NOT_FOUND,
    ERROR_CAMPAIGN_NOT_FOUND,
    ERROR_CAMPAIGN_HAS_CHAPTERS,
    ERROR_CHAPTER_OPEN,
    ERROR_CHAPTER_CONTINUED,
    ERROR_NARRATOR_NOT_CONFIGURED,
    ERROR_INVALID_FIELD,
    ERROR_IDEMPOTENCY_KEY_REUSED,
    ERROR_QUEUE_FULL,
    ERROR_STORE_FULL,
    ERROR_STORE_READ_ONLY,
    ERROR_STORE_BUSY,
    ERROR_STORE_FAILED,
    ERROR_SHUTTING_DOWN,
    ERROR_OUT_OF_MEMORY,
    ERROR_METHOD_NOT_AVAILABLE,
    ERROR_REASONS /* how many */
};
struct error_entry {
    const char *reason; /* "CHARACTER_NOT_FOUND" */
    nrpc_code code;
    const char *help;   /* what the caller can do */
};
const struct error_entry *error_entry(enum error_reason reason);

/* [any] Sets code, message and ErrorInfo; QUEUE_FULL and STORE_BUSY get a RetryInfo of one second too. */
void error_set(nrpc_status *st, enum error_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* [any] INVALID_FIELD with one google.rpc.BadRequest violation; field is a proto path. */
void error_set_field(nrpc_status *st, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* [loop] The same, and ends the call with it. */
void error_reply(nrpc_call *c, enum error_reason reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
