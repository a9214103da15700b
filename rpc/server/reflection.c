/* grpc.reflection.v1 and v1alpha: what this server serves, told from descriptor sets.  The two
 * versions differ in their name only, so one set of messages does for both.  A stream answers its
 * questions one at a time: the next is read once the answer found room. */
#include <stdlib.h>
#include <string.h>

#include "grpc/reflection/v1/reflection.pb-c.h"
#include "rpc/base/alloc.h"
#include "rpc/server/descriptors.h"
#include "rpc/server/inner.h"
#include "runtime_services_embedded.h"

typedef Grpc__Reflection__V1__ServerReflectionRequest reflection_request;
typedef Grpc__Reflection__V1__ServerReflectionResponse reflection_response;
#define ASKS(what)    GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what
#define ANSWERS(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__MESSAGE_RESPONSE_##what

enum { QUESTION_BYTES_MAX = 4096 };

struct reflection {
    struct descriptors descriptors;
    const char **services; /* sorted; made at the start of the server */
    size_t n_services;
};

static int send_answer(nrpc_call *c, const reflection_request *q, reflection_response *answer)
{
    answer->valid_host = q->host;
    answer->original_request = (reflection_request *) (uintptr_t) q;
    return nrpc_call_send(c, &answer->base);
}

static int send_error(nrpc_call *c, const reflection_request *q, nrpc_code code, const char *text)
{
    Grpc__Reflection__V1__ErrorResponse error = GRPC__REFLECTION__V1__ERROR_RESPONSE__INIT;
    reflection_response answer = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    error.error_code = (int32_t) code;
    error.error_message = (char *) (uintptr_t) text;
    answer.message_response_case = ANSWERS(ERROR_RESPONSE);
    answer.error_response = &error;
    return send_answer(c, q, &answer);
}

/* The file and all it needs; NULL is an error that says `missing`. */
static int send_files(nrpc_call *c, const struct reflection *ref, const reflection_request *q,
                      const struct descriptor_file *file, const char *missing)
{
    if (file == NULL)
        return send_error(c, q, NRPC_NOT_FOUND, missing);
    const struct descriptor_file **files;
    size_t n;
    if (descriptors_closure(&ref->descriptors, file, &files, &n) < 0)
        return NRPC_E_NOMEM;
    ProtobufCBinaryData *bytes = alloc_get(n * sizeof *bytes);
    int r = NRPC_E_NOMEM;
    if (bytes != NULL) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (ProtobufCBinaryData){ files[i]->bytes.size,
                                              (uint8_t *) (uintptr_t) files[i]->bytes.data };
        Grpc__Reflection__V1__FileDescriptorResponse list =
            GRPC__REFLECTION__V1__FILE_DESCRIPTOR_RESPONSE__INIT;
        reflection_response answer = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
        list.n_file_descriptor_proto = n;
        list.file_descriptor_proto = bytes;
        answer.message_response_case = ANSWERS(FILE_DESCRIPTOR_RESPONSE);
        answer.file_descriptor_response = &list;
        r = send_answer(c, q, &answer);
    }
    alloc_free(bytes);
    alloc_free(files);
    return r;
}

static int send_numbers(nrpc_call *c, const struct reflection *ref, const reflection_request *q)
{
    char *type = q->all_extension_numbers_of_type;
    struct descriptor_numbers numbers;
    if (!descriptors_extended(&ref->descriptors, type, &numbers))
        return send_error(c, q, NRPC_NOT_FOUND, "no message type has this name");
    Grpc__Reflection__V1__ExtensionNumberResponse list =
        GRPC__REFLECTION__V1__EXTENSION_NUMBER_RESPONSE__INIT;
    reflection_response answer = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
    list.base_type_name = type;
    list.n_extension_number = numbers.count;
    list.extension_number = numbers.numbers;
    answer.message_response_case = ANSWERS(ALL_EXTENSION_NUMBERS_RESPONSE);
    answer.all_extension_numbers_response = &list;
    return send_answer(c, q, &answer);
}

static int send_services(nrpc_call *c, const struct reflection *ref, const reflection_request *q)
{
    typedef Grpc__Reflection__V1__ServiceResponse entry;
    entry *entries = alloc_get(ref->n_services * sizeof *entries);
    entry **pointers = alloc_get(ref->n_services * sizeof *pointers);
    int r = NRPC_E_NOMEM;
    if (entries != NULL && pointers != NULL) {
        for (size_t i = 0; i < ref->n_services; i++) {
            entries[i] = (entry) GRPC__REFLECTION__V1__SERVICE_RESPONSE__INIT;
            entries[i].name = (char *) (uintptr_t) ref->services[i];
            pointers[i] = &entries[i];
        }
        Grpc__Reflection__V1__ListServiceResponse list =
            GRPC__REFLECTION__V1__LIST_SERVICE_RESPONSE__INIT;
        reflection_response answer = GRPC__REFLECTION__V1__SERVER_REFLECTION_RESPONSE__INIT;
        list.n_service = ref->n_services;
        list.service = pointers;
        answer.message_response_case = ANSWERS(LIST_SERVICES_RESPONSE);
        answer.list_services_response = &list;
        r = send_answer(c, q, &answer);
    }
    alloc_free(entries);
    alloc_free(pointers);
    return r;
}

static int answer_question(nrpc_call *c, const struct reflection *ref, const reflection_request *q)
{
    const struct descriptors *d = &ref->descriptors;
    switch (q->message_request_case) {
    case ASKS(FILE_BY_FILENAME):
        return send_files(c, ref, q, descriptors_file(d, q->file_by_filename),
                          "no file has this name");
    case ASKS(FILE_CONTAINING_SYMBOL):
        return send_files(c, ref, q, descriptors_symbol(d, q->file_containing_symbol),
                          "no file defines this symbol");
    case ASKS(FILE_CONTAINING_EXTENSION):
        return send_files(c, ref, q,
                          descriptors_extension(d, q->file_containing_extension->containing_type,
                                                q->file_containing_extension->extension_number),
                          "no file defines this extension");
    case ASKS(ALL_EXTENSION_NUMBERS_OF_TYPE):
        return send_numbers(c, ref, q);
    case ASKS(LIST_SERVICES):
        return send_services(c, ref, q);
    default:
        return send_error(c, q, NRPC_INVALID_ARGUMENT,
                          "the request asks nothing that is known here");
    }
}

/* ---- the stream
 * ------------------------------------------------------------------------------- */
static nrpc_code on_start(nrpc_call *c, void *service_ctx, void **out_state, nrpc_status *st)
{
    (void) c;
    (void) st;
    *out_state = service_ctx;
    return NRPC_OK;
}

static void on_message(nrpc_call *c, void *state, nrpc_msg *m)
{
    /* The answer repeats the question, so a large one is not taken. */
    if (nrpc_msg_bytes(m).size > QUESTION_BYTES_MAX) {
        nrpc_call_fail(c, NRPC_INVALID_ARGUMENT, "a request may have %d bytes", QUESTION_BYTES_MAX);
    } else {
        int r = answer_question(c, state, (const reflection_request *) nrpc_msg_body(m));
        if (r == 0)
            nrpc_call_want(c, 1);
        else if (r < 0 && r != NRPC_E_STATE && r != NRPC_E_CLOSED)
            nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "%s", nrpc_strerror(r));
    }
    nrpc_msg_free(m);
}

static void on_writable(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_want(c, 1);
}

static void on_half_close(nrpc_call *c, void *state)
{
    (void) state;
    nrpc_call_finish(c, NULL);
}

static const nrpc_events events = {
    .on_start = on_start,
    .on_message = on_message,
    .on_writable = on_writable,
    .on_half_close = on_half_close,
};
static const nrpc_handler handlers[] = { { .stream = &events } };
#define METHOD(version)                                                                            \
    {                                                                                              \
        "ServerReflectionInfo",                                                                    \
            "/grpc.reflection." version ".ServerReflection/ServerReflectionInfo", NRPC_BIDI, true, \
            &grpc__reflection__v1__server_reflection_request__descriptor,                          \
            &grpc__reflection__v1__server_reflection_response__descriptor                          \
    }
static const nrpc_method v1_methods[] = { METHOD("v1") }, v1alpha_methods[] = { METHOD("v1alpha") };
static const nrpc_service v1 = { "grpc.reflection.v1.ServerReflection", v1_methods, 1 };
static const nrpc_service v1alpha = { "grpc.reflection.v1alpha.ServerReflection", v1alpha_methods,
                                      1 };

/* ---- setup
 * ------------------------------------------------------------------------------------ */
static int index_sets(struct descriptors *d, nrpc_slice set)
{
    /* The runtime's own services are described here, whatever the program's set holds. */
    int r = descriptors_add(d, set);
    if (r == 0)
        r = descriptors_add(d, (nrpc_slice){ runtime_services, runtime_services_size });
    return r < 0 ? r : descriptors_link(d);
}

int nrpc_server_add_reflection(nrpc_server *s, nrpc_slice file_descriptor_set)
{
    if (s->started || s->reflection != NULL)
        return NRPC_E_STATE;
    struct reflection *ref = alloc_zero(1, sizeof *ref);
    if (ref == NULL)
        return NRPC_E_NOMEM;
    descriptors_init(&ref->descriptors);
    int r = index_sets(&ref->descriptors, file_descriptor_set);
    if (r == 0)
        r = nrpc_server_add_service(s, &v1, handlers, 1, ref);
    if (r == 0)
        r = nrpc_server_add_service(s, &v1alpha, handlers, 1, ref);
    s->reflection = ref; /* also on error: a service may refer to it */
    return r;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *) a, *(const char *const *) b);
}

int reflection_start(nrpc_server *s)
{
    struct reflection *ref = s->reflection;
    if (ref == NULL)
        return 0;
    ref->services = alloc_get(s->services.count * sizeof *ref->services);
    if (ref->services == NULL)
        return NRPC_E_NOMEM;
    ref->n_services = s->services.count;
    for (size_t i = 0; i < ref->n_services; i++)
        ref->services[i] = s->services.entries[i].key;
    qsort(ref->services, ref->n_services, sizeof *ref->services, by_name);
    return 0;
}

void reflection_free(struct reflection *ref)
{
    if (ref == NULL)
        return;
    alloc_free(ref->services);
    descriptors_done(&ref->descriptors);
    alloc_free(ref);
}
