#include "server/service/errors.h"

#include <stdarg.h>
#include <stdio.h>

#include "google/rpc/error_details.pb-c.h"
#include "server/contract.h"

enum { MESSAGE_BYTES = 1024 };

static const struct error_entry registry[ERROR_REASONS] = {
    [ERROR_CHARACTER_NOT_FOUND] = { "CHARACTER_NOT_FOUND", NRPC_NOT_FOUND, "ListCharacters names those there are" },
    [ERROR_CHARACTER_EXISTS] = { "CHARACTER_EXISTS", NRPC_ALREADY_EXISTS, "choose another id, or update it" },
    [ERROR_CHARACTER_LIMIT] = { "CHARACTER_LIMIT", NRPC_RESOURCE_EXHAUSTED, "delete characters that nobody uses" },
    [ERROR_ETAG_MISMATCH] = { "ETAG_MISMATCH", NRPC_ABORTED, "read it again and repeat the change" },
    [ERROR_SIMULATION_NOT_FOUND] = { "SIMULATION_NOT_FOUND", NRPC_NOT_FOUND, "ListSimulations names those there are" },
    [ERROR_SIMULATION_RUNNING] = { "SIMULATION_RUNNING", NRPC_FAILED_PRECONDITION,
                                   "cancel it first, or delete with force" },
    [ERROR_SIMULATION_FINISHED] = { "SIMULATION_FINISHED", NRPC_FAILED_PRECONDITION,
                                    "only what still runs can be cancelled" },
    [ERROR_SIMULATION_FAILED] = { "SIMULATION_FAILED", NRPC_INTERNAL, "GetSimulation tells why; submit it again" },
    [ERROR_SIMULATION_CANCELLED] = { "SIMULATION_CANCELLED", NRPC_CANCELLED, "somebody cancelled it; submit it again" },
    [ERROR_SIMULATION_DIRECTED] = { "DIRECTED", NRPC_FAILED_PRECONDITION,
                                    "watch it, or attach once its director has left" },
    [ERROR_SIMULATION_BEGUN] = { "SIMULATION_BEGUN", NRPC_FAILED_PRECONDITION,
                                 "fork it at turn 0, or start another with that cast" },
    [ERROR_DIRECTORS_FULL] = { "DIRECTORS_FULL", NRPC_RESOURCE_EXHAUSTED, "try again later" },
    [ERROR_DIRECTION_FINISHED] = { "DIRECTION_FINISHED", NRPC_FAILED_PRECONDITION,
                                   "attach again in another stream, while it runs" },
    [ERROR_TURN_NOT_DONE] = { "TURN_NOT_DONE", NRPC_FAILED_PRECONDITION,
                              "watch the simulation until that turn is over" },
    [ERROR_EDIT_REJECTED] = { "EDIT_REJECTED", NRPC_FAILED_PRECONDITION,
                              "the violation names the law; change the edit or fork at another turn" },
    [ERROR_STORY_NOT_READY] = { "STORY_NOT_READY", NRPC_FAILED_PRECONDITION, "watch the simulation to its end" },
    [ERROR_ENGINE_CHANGED] = { "ENGINE_CHANGED", NRPC_FAILED_PRECONDITION,
                               "ask a server of the version that wrote it; its story can still be read" },
    [ERROR_EVENT_NOT_FOUND] = { "EVENT_NOT_FOUND", NRPC_NOT_FOUND, "ListEvents names those there are" },
    [ERROR_CAMPAIGN_NOT_FOUND] = { "CAMPAIGN_NOT_FOUND", NRPC_NOT_FOUND, "ListCampaigns names those there are" },
    [ERROR_CAMPAIGN_HAS_CHAPTERS] = { "CAMPAIGN_HAS_CHAPTERS", NRPC_FAILED_PRECONDITION,
                                      "delete it with cascade, and its chapters go too" },
    [ERROR_CHAPTER_OPEN] = { "CHAPTER_OPEN", NRPC_FAILED_PRECONDITION,
                             "wait for the end of the chapter that is being written, or cancel it" },
    [ERROR_CHAPTER_CONTINUED] = { "CHAPTER_CONTINUED", NRPC_FAILED_PRECONDITION,
                                  "a later chapter goes on from it: delete that first, or the campaign with cascade" },
    [ERROR_NARRATOR_NOT_CONFIGURED] = { "NARRATOR_NOT_CONFIGURED", NRPC_FAILED_PRECONDITION,
                                        "use NARRATOR_BUILTIN, or leave it unspecified" },
    [ERROR_INVALID_FIELD] = { "INVALID_FIELD", NRPC_INVALID_ARGUMENT, "the violations name each field" },
    [ERROR_IDEMPOTENCY_KEY_REUSED] = { "IDEMPOTENCY_KEY_REUSED", NRPC_FAILED_PRECONDITION,
                                       "send the same request with that key, or another key" },
    [ERROR_QUEUE_FULL] = { "QUEUE_FULL", NRPC_RESOURCE_EXHAUSTED, "try again later" },
    [ERROR_STORE_FULL] = { "STORE_FULL", NRPC_RESOURCE_EXHAUSTED, "the operator must free disk space" },
    [ERROR_STORE_READ_ONLY] = { "STORE_READ_ONLY", NRPC_FAILED_PRECONDITION,
                                "the operator must make the data folder writable" },
    [ERROR_STORE_BUSY] = { "STORE_BUSY", NRPC_UNAVAILABLE, "try again later" },
    [ERROR_STORE_FAILED] = { "STORE_FAILED", NRPC_INTERNAL, "the server's log says more" },
    [ERROR_SHUTTING_DOWN] = { "SHUTTING_DOWN", NRPC_UNAVAILABLE, "connect again; watches resume where they were" },
    [ERROR_OUT_OF_MEMORY] = { "OUT_OF_MEMORY", NRPC_RESOURCE_EXHAUSTED, "try again later" },
    [ERROR_METHOD_NOT_AVAILABLE] = { "METHOD_NOT_AVAILABLE", NRPC_UNIMPLEMENTED,
                                     "this server does not offer it yet" },
};

const struct error_entry *error_entry(enum error_reason reason)
{
    return &registry[reason];
}

/* Details are a courtesy: without memory for them the code and the message still tell. */
static void add_info(nrpc_status *st, const struct error_entry *e)
{
    Google__Rpc__ErrorInfo__MetadataEntry help = GOOGLE__RPC__ERROR_INFO__METADATA_ENTRY__INIT;
    Google__Rpc__ErrorInfo__MetadataEntry *entries[] = { &help };
    Google__Rpc__ErrorInfo info = GOOGLE__RPC__ERROR_INFO__INIT;
    help.key = "help";
    help.value = (char *) e->help;
    info.reason = (char *) e->reason;
    info.domain = NOVEL_DOMAIN;
    info.n_metadata = 1;
    info.metadata = entries;
    (void) nrpc_status_add_detail(st, &info.base);
}

static void add_retry(nrpc_status *st)
{
    Google__Protobuf__Duration delay = GOOGLE__PROTOBUF__DURATION__INIT;
    Google__Rpc__RetryInfo retry = GOOGLE__RPC__RETRY_INFO__INIT;
    delay.seconds = 1;
    retry.retry_delay = &delay;
    (void) nrpc_status_add_detail(st, &retry.base);
}

static void set_text(nrpc_status *st, enum error_reason reason, const char *text)
{
    nrpc_status_set(st, registry[reason].code, "%s", text);
    if (reason == ERROR_QUEUE_FULL || reason == ERROR_STORE_BUSY || reason == ERROR_DIRECTORS_FULL)
        add_retry(st);
    add_info(st, &registry[reason]);
}

void error_set(nrpc_status *st, enum error_reason reason, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    set_text(st, reason, text);
}

void error_set_field(nrpc_status *st, const char *field, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    Google__Rpc__BadRequest__FieldViolation violation = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT;
    Google__Rpc__BadRequest__FieldViolation *violations[] = { &violation };
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    violation.field = (char *) field;
    violation.description = text;
    bad.n_field_violations = 1;
    bad.field_violations = violations;
    nrpc_status_set(st, NRPC_INVALID_ARGUMENT, "%s: %s", field, text);
    (void) nrpc_status_add_detail(st, &bad.base);
    add_info(st, &registry[ERROR_INVALID_FIELD]);
}

void error_reply(nrpc_call *c, enum error_reason reason, const char *format, ...)
{
    char text[MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    nrpc_status st = NRPC_STATUS_INIT;
    set_text(&st, reason, text);
    nrpc_call_finish(c, &st);
    nrpc_status_clear(&st);
}
