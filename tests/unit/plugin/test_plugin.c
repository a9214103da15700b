/* The tables and helpers that protoc-gen-nrpc emitted for tests/unit/plugin/protos. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "bare.nrpc.h"
#include "kinds.nrpc.h"
#include "plain.nrpc.h"

/* The runtime's functions that the helpers call: they only note what arrived. */
static const nrpc_service *seen_service;
static const nrpc_handler *seen_handlers;
static const nrpc_method *seen_method;
static const void *seen_message;
static size_t seen_n;
static int half_closes, send_result;
static nrpc_msg *const some_message = (nrpc_msg *) 0x10;
static ProtobufCMessage some_body;

int nrpc_server_add_service(nrpc_server *s, const nrpc_service *service,
                            const nrpc_handler *handlers, size_t n, void *service_ctx)
{
    assert_ptr_equal(s, (void *) 0x20);
    assert_ptr_equal(service_ctx, (void *) 0x30);
    seen_service = service;
    seen_handlers = handlers;
    seen_n = n;
    return 0;
}
const ProtobufCMessage *nrpc_msg_body(const nrpc_msg *m)
{
    return m == some_message ? &some_body : NULL;
}
int nrpc_call_send(nrpc_call *c, const ProtobufCMessage *m)
{
    assert_ptr_equal(c, (void *) 0x40);
    seen_message = m;
    return send_result;
}
int nrpc_call_reply(nrpc_call *c, const ProtobufCMessage *m)
{
    assert_ptr_equal(c, (void *) 0x40);
    seen_message = m;
    return 7;
}
int nrpc_call_half_close(nrpc_call *c)
{
    (void) c;
    half_closes++;
    return 0;
}
int nrpc_channel_start(nrpc_channel *ch, const nrpc_method *method, const nrpc_call_options *o,
                       const nrpc_events *ev, void *state, nrpc_call **out_call)
{
    (void) ch, (void) o, (void) ev, (void) state;
    seen_method = method;
    *out_call = (nrpc_call *) 0x40;
    return 0;
}
nrpc_code nrpc_client_unary(nrpc_client *cl, const nrpc_method *method,
                            const nrpc_client_options *o, const ProtobufCMessage *request,
                            nrpc_msg **out_response, nrpc_status *st)
{
    (void) o, (void) st;
    seen_method = method;
    seen_message = request;
    if (cl == NULL)
        return NRPC_UNAVAILABLE;
    *out_response = some_message;
    return NRPC_OK;
}
nrpc_code nrpc_client_stream(nrpc_client *cl, const nrpc_method *method,
                             const nrpc_client_options *o, const ProtobufCMessage *request,
                             bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx, nrpc_status *st)
{
    (void) cl, (void) o, (void) st;
    seen_method = method;
    seen_message = request;
    return on_message(ctx, some_message) ? NRPC_OK : NRPC_CANCELLED;
}

static void test_method_tables(void **state)
{
    (void) state;
    static const struct {
        const char *name, *path;
        nrpc_kind kind;
        bool idempotent;
        const ProtobufCMessageDescriptor *input, *output;
    } rows[] = {
#define PATH "/nrpc_test.kinds_v1.FourKinds/"
        { "OneToOne", PATH "OneToOne", NRPC_UNARY, true, &nrpc_test__kinds_v1__outer__descriptor,
          &nrpc_test__kinds_v1__outer__inner_part__descriptor },
        { "OneToMany", PATH "OneToMany", NRPC_SERVER_STREAM, false,
          &nrpc_test__kinds_v1__outer__inner_part__descriptor,
          &nrpc_test__kinds_v1__httpthing__descriptor },
        { "ManyToOne", PATH "ManyToOne", NRPC_CLIENT_STREAM, false,
          &nrpc_test__kinds_v1__httpthing__descriptor, &google__protobuf__empty__descriptor },
        { "ManyToMany", PATH "ManyToMany", NRPC_BIDI, true, &nrpc_test__kinds_v1__outer__descriptor,
          &nrpc_test__kinds_v1__outer__descriptor },
        { "Delete", PATH "Delete", NRPC_UNARY, false, &nrpc_test__kinds_v1__outer__descriptor,
          &nrpc_test__kinds_v1__outer__descriptor },
    };
    const nrpc_service *s = &nrpc_test_kinds_v1_four_kinds_service;
    assert_string_equal(s->name, "nrpc_test.kinds_v1.FourKinds");
    assert_int_equal(s->n_methods, 7);
    assert_int_equal(NRPC_TEST_KINDS_V1_FOUR_KINDS_METHODS, 7);
    assert_int_equal(NRPC_TEST_KINDS_V1_FOUR_KINDS_METHOD_MANY_TO_MANY, 3);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_string_equal(s->methods[i].name, rows[i].name);
        assert_string_equal(s->methods[i].path, rows[i].path);
        assert_int_equal(s->methods[i].kind, rows[i].kind);
        assert_int_equal(s->methods[i].idempotent, rows[i].idempotent);
        assert_ptr_equal(s->methods[i].input, rows[i].input);
        assert_ptr_equal(s->methods[i].output, rows[i].output);
    }
    assert_string_equal(nrpc_test_kinds_v1_nothing_service.name, "nrpc_test.kinds_v1.Nothing");
    assert_int_equal(nrpc_test_kinds_v1_nothing_service.n_methods, 0);
    assert_string_equal(oracle_service.name, "Oracle");
    assert_string_equal(oracle_service.methods[ORACLE_METHOD_CONSULT].path, "/Oracle/Consult");
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_service.methods[6].kind, NRPC_UNARY);
}

static void on_request(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) c, (void) ctx, (void) request;
}

static void test_register_keeps_the_order(void **state)
{
    (void) state;
    static const nrpc_events events;
    static const nrpc_test_kinds_v1_four_kinds_handlers handlers = {
        .delete_ = { .request = on_request },
        .one_to_one = { .request = on_request },
        .many_to_many = { .stream = &events },
        .all_ = { .request = on_request },
    };
    assert_int_equal(
        nrpc_test_kinds_v1_four_kinds_register((nrpc_server *) 0x20, &handlers, (void *) 0x30), 0);
    assert_ptr_equal(seen_service, &nrpc_test_kinds_v1_four_kinds_service);
    assert_int_equal(seen_n, 7);
    assert_true(seen_handlers[0].request == on_request);
    assert_true(seen_handlers[1].request == NULL && seen_handlers[1].stream == NULL);
    assert_ptr_equal(seen_handlers[3].stream, &events);
    assert_true(seen_handlers[4].request == on_request);
    assert_true(seen_handlers[5].request == NULL);
    assert_true(seen_handlers[6].request == on_request);
}

static void test_client_helpers(void **state)
{
    (void) state;
    const NrpcTest__KindsV1__Outer outer = NRPC_TEST__KINDS_V1__OUTER__INIT;
    nrpc_call *call = NULL;
    half_closes = send_result = 0;
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_delete_start(NULL, NULL, NULL, NULL, &call), 0);
    assert_string_equal(seen_method->name, "Delete");
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_delete_send(call, &outer), 0);
    assert_ptr_equal(seen_message, &outer);
    assert_int_equal(half_closes, 1);
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_many_to_many_send(call, &outer), 0);
    assert_int_equal(half_closes, 1); /* the caller of a stream half-closes itself */
    send_result = NRPC_E_TOOBIG;
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_delete_send(call, &outer), NRPC_E_TOOBIG);
    assert_int_equal(half_closes, 1);
    send_result = 0;

    nrpc_msg *message = NULL;
    const NrpcTest__KindsV1__Outer__InnerPart *inner = NULL;
    nrpc_status st = NRPC_STATUS_INIT;
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_one_to_one((nrpc_client *) 0x50, NULL, &outer,
                                                              &message, &inner, &st),
                     NRPC_OK);
    assert_ptr_equal(message, some_message);
    assert_ptr_equal(inner, &some_body);
    assert_int_equal(
        nrpc_test_kinds_v1_four_kinds_one_to_one(NULL, NULL, &outer, &message, &inner, &st),
        NRPC_UNAVAILABLE);
    assert_null(message);
    assert_null(inner);
}

static bool take(void *ctx, nrpc_msg *m)
{
    *(const NrpcTest__KindsV1__HTTPThing **) ctx =
        nrpc_test_kinds_v1_four_kinds_one_to_many_response(m);
    return false;
}

static void test_server_helpers_and_streams(void **state)
{
    (void) state;
    const NrpcTest__KindsV1__HTTPThing thing = NRPC_TEST__KINDS_V1__HTTPTHING__INIT;
    const NrpcTest__KindsV1__Outer__InnerPart inner = NRPC_TEST__KINDS_V1__OUTER__INNER_PART__INIT;
    send_result = 0;
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_one_to_one_reply((nrpc_call *) 0x40, &inner), 7);
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_one_to_many_emit((nrpc_call *) 0x40, &thing), 0);
    assert_ptr_equal(seen_message, &thing);
    const NrpcTest__KindsV1__HTTPThing *got = NULL;
    nrpc_status st = NRPC_STATUS_INIT;
    assert_int_equal(nrpc_test_kinds_v1_four_kinds_one_to_many(NULL, NULL, &inner, take, &got, &st),
                     NRPC_CANCELLED);
    assert_ptr_equal(got, &some_body);
    assert_ptr_equal(nrpc_test_kinds_v1_four_kinds_many_to_one_request(some_message), &some_body);
}

static const nrpc_field_rule *rule_of(const ProtobufCMessageDescriptor *message, uint32_t tag)
{
    for (size_t i = 0; i < plain_rules.n_messages; i++) {
        if (plain_rules.messages[i].message != message)
            continue;
        for (size_t j = 0; j < plain_rules.messages[i].n_fields; j++)
            if (plain_rules.messages[i].fields[j].tag == tag)
                return &plain_rules.messages[i].fields[j];
    }
    return NULL;
}

static void test_rule_tables(void **state)
{
    (void) state;
    const ProtobufCMessageDescriptor *order = &plain__order__descriptor;
    assert_int_equal(plain_rules.n_messages, 3);
    assert_int_equal(kinds_rules.n_messages, 0);
    const nrpc_field_rule *id = rule_of(order, 1);
    assert_true(id->required && !id->has_min && !id->has_max && !id->unique);
    assert_string_equal(id->pattern, "[a-z]{2,4}\\d?");
    const nrpc_field_rule *count = rule_of(order, 2);
    assert_true(count->has_min && count->min == 0 && count->has_max &&
                count->max == 9); /* an explicit 0 counts */
    const nrpc_field_rule *tags = rule_of(order, 3);
    assert_true(tags->unique && tags->max == 3 && !tags->has_min);
    assert_non_null(tags->items);
    assert_true(tags->items->tag == 0 && tags->items->min == 1 && tags->items->max == 5);
    assert_string_equal(tags->items->pattern, "[a-z]*");
    assert_null(rule_of(order, 7));
    assert_true(rule_of(order, 18)->min == INT64_MIN);
    assert_true(rule_of(&plain__order__line__deeper__descriptor, 1)->min == -3);
    assert_true(rule_of(&plain__order__line__descriptor, 1)->max == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_method_tables),  cmocka_unit_test(test_register_keeps_the_order),
        cmocka_unit_test(test_client_helpers), cmocka_unit_test(test_server_helpers_and_streams),
        cmocka_unit_test(test_rule_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
