/* json_testee — the program under test of the protobuf conformance suite.  What answers is the code
 * that the product runs:
 *   JSON in      the gateway's reader (gateway/to_wire) to wire bytes
 *   JSON out     the gateway's writer (gateway/to_json) from wire bytes
 *   binary both  the runtime's codec (rpc/grpc/codec over protobuf-c); proto3 only, for it knows no
 *                groups
 * Text format, JSPB and messages that are not known are answered "skipped".  Ends at end of file.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conformance_descriptors.h"
#include "gateway/to_json.h"
#include "gateway/to_wire.h"
#include "rpc/base/alloc.h"
#include "rpc/grpc/codec.h"
#include "test_messages_proto3.pb-c.h"

enum { REQUEST_BYTES_MAX = 1 << 28 };
/* ConformanceRequest and ConformanceResponse; conformance.proto says more. */
enum format { FORMAT_PROTOBUF = 1, FORMAT_JSON };
enum { CATEGORY_IGNORE_UNKNOWN = 3 };
enum result {
    PARSE_ERROR = 1,
    RUNTIME_ERROR = 2,
    PROTOBUF_PAYLOAD = 3,
    JSON_PAYLOAD = 4,
    SKIPPED = 5,
    SERIALIZE_ERROR = 6
};

struct request {
    uint32_t payload_field; /* 0: none */
    const uint8_t *payload;
    size_t payload_size;
    uint64_t format, category;
    const char *type;
    size_t type_size;
};
struct answer {
    enum result result;
    struct buf text; /* the payload, or what was wrong */
};

static int answer_text(struct answer *a, enum result result, const char *text)
{
    a->result = result;
    buf_reset(&a->text);
    buf_puts(&a->text, text);
    return -1;
}

static bool read_request(const struct buf *b, struct request *out)
{
    struct wire_reader r = wire_reader_of(b->data, b->size);
    struct wire_field f;
    int more;
    *out = (struct request){ .type = "" };
    while ((more = wire_next(&r, &f)) > 0)
        switch (f.number) {
        case 1:
        case 2:
        case 7:
        case 8:
            out->payload_field = f.number;
            out->payload = f.data;
            out->payload_size = f.size;
            break;
        case 3:
            out->format = f.value;
            break;
        case 4:
            out->type = (const char *) f.data;
            out->type_size = f.size;
            break;
        case 5:
            out->category = f.value;
            break;
        }
    return more == 0;
}

/* ---- the three ways -------------------------------------------------------------------- */

static int json_to_wire(const struct request *q, const struct desc_pool *pool,
                        const struct desc_message *m, struct buf *wire, struct answer *a)
{
    struct to_wire *t = alloc_get(sizeof *t);
    struct to_wire_options o = { .pool = pool,
                                 .ignore_unknown = q->category == CATEGORY_IGNORE_UNKNOWN };
    if (t == NULL)
        return answer_text(a, RUNTIME_ERROR, "out of memory");
    to_wire_init(t, m, wire, &o);
    int r = to_wire_feed(t, q->payload, q->payload_size);
    if (r == 0)
        r = to_wire_finish(t);
    if (r == NRPC_E_PROTO)
        answer_text(a, PARSE_ERROR, t->reader.error.message);
    else if (r < 0)
        answer_text(a, RUNTIME_ERROR, nrpc_strerror(r));
    to_wire_done(t);
    alloc_free(t);
    return r;
}

static void wire_to_json(nrpc_slice wire, const struct desc_pool *pool,
                         const struct desc_message *m, struct answer *a)
{
    struct to_json t;
    to_json_init(&t, pool, JSON_STANDARD);
    a->result = JSON_PAYLOAD;
    int r = to_json_message(&t, m, wire.data, wire.size, &a->text);
    if (r == NRPC_E_PROTO)
        answer_text(a, t.no_form ? SERIALIZE_ERROR : PARSE_ERROR, t.error);
    else if (r < 0)
        answer_text(a, RUNTIME_ERROR, nrpc_strerror(r));
    to_json_done(&t);
}

static void wire_to_wire(nrpc_slice wire, const ProtobufCMessageDescriptor *d, struct answer *a)
{
    nrpc_msg *m = codec_msg_new(wire.size);
    nrpc_status st = NRPC_STATUS_INIT;
    if (m == NULL) {
        answer_text(a, RUNTIME_ERROR, "out of memory");
        return;
    }
    if (wire.size > 0)
        memcpy(codec_msg_data(m), wire.data, wire.size);
    int r = codec_decode(m, d, &st);
    if (r < 0) {
        answer_text(a, r == NRPC_E_PROTO ? PARSE_ERROR : RUNTIME_ERROR, st.message);
    } else {
        const ProtobufCMessage *body = nrpc_msg_body(m);
        uint8_t *to = buf_grow(&a->text, protobuf_c_message_get_packed_size(body));
        a->result = PROTOBUF_PAYLOAD;
        if (to != NULL)
            protobuf_c_message_pack(body, to);
    }
    nrpc_status_clear(&st);
    nrpc_msg_free(m);
}

static bool is_type(const struct request *q, const char *name)
{
    return q->type_size == strlen(name) && memcmp(q->type, name, q->type_size) == 0;
}

static void serve(const struct request *q, const struct desc_pool *pool, struct answer *a)
{
    const ProtobufCMessageDescriptor *d =
        &protobuf_test_messages__proto3__test_all_types_proto3__descriptor;
    struct buf wire = { 0 };
    if (is_type(q, "conformance.FailureSet")) {
        a->result = PROTOBUF_PAYLOAD; /* an empty set: no failure is expected */
        return;
    }
    const struct desc_message *m = desc_find_message(pool, q->type, q->type_size);
    bool json_in = q->payload_field == 2, json_out = q->format == FORMAT_JSON;
    if (m == NULL) {
        answer_text(a, SKIPPED, "this message is not known");
    } else if ((q->payload_field != 1 && !json_in) || (q->format != FORMAT_PROTOBUF && !json_out)) {
        answer_text(a, SKIPPED, "this format is not spoken");
    } else if (json_in) {
        if (json_to_wire(q, pool, m, &wire, a) == 0 && json_out) {
            wire_to_json((nrpc_slice){ wire.data, wire.size }, pool, m, a);
        } else if (a->result == 0) {
            a->result = PROTOBUF_PAYLOAD;
            buf_put(&a->text, wire.data, wire.size);
        }
    } else if (json_out) {
        wire_to_json((nrpc_slice){ q->payload, q->payload_size }, pool, m, a);
    } else if (is_type(q, d->name)) {
        wire_to_wire((nrpc_slice){ q->payload, q->payload_size }, d, a);
    } else {
        answer_text(a, SKIPPED, "the codec has no groups");
    }
    buf_done(&wire);
}

/* ---- the pipe -------------------------------------------------------------------------- */

/* 1: all of it; 0: the end came before its first byte; -1: cut off. */
static int read_all(uint8_t *to, size_t size)
{
    size_t at = 0;
    while (at < size) {
        ssize_t n = read(STDIN_FILENO, to + at, size - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && at == 0 ? 0 : -1;
        at += (size_t) n;
    }
    return 1;
}

static bool write_all(const uint8_t *from, size_t size)
{
    while (size > 0) {
        ssize_t n = write(STDOUT_FILENO, from, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        from += n;
        size -= (size_t) n;
    }
    return true;
}

static bool write_answer(const struct answer *a)
{
    struct buf body = { 0 }, out = { 0 };
    wire_put_bytes(&body, (uint32_t) a->result, a->text.data, a->text.size);
    wire_put_fixed32(&out, (uint32_t) body.size);
    buf_put(&out, body.data, body.size);
    bool ok = !a->text.failed && !body.failed && !out.failed && write_all(out.data, out.size);
    buf_done(&body);
    buf_done(&out);
    return ok;
}

/* 1: one request answered; 0: no more; -1: the pipe broke. */
static int serve_one(const struct desc_pool *pool)
{
    uint8_t length[4];
    int r = read_all(length, sizeof length);
    if (r <= 0)
        return r;
    uint32_t size = (uint32_t) length[0] | (uint32_t) length[1] << 8 | (uint32_t) length[2] << 16 |
                    (uint32_t) length[3] << 24;
    struct buf in = { 0 };
    struct answer a = { .result = 0 };
    struct request q;
    uint8_t *to = size > REQUEST_BYTES_MAX ? NULL : buf_grow(&in, size);
    r = (to == NULL && size > 0) || (size > 0 && read_all(to, size) <= 0) ? -1 : 1;
    if (r > 0) {
        if (read_request(&in, &q))
            serve(&q, pool, &a);
        else
            answer_text(&a, RUNTIME_ERROR, "the request is not a ConformanceRequest");
        r = write_answer(&a) ? 1 : -1;
    }
    buf_done(&in);
    buf_done(&a.text);
    return r;
}

int main(void)
{
    struct desc_pool *pool = NULL;
    char error[256] = "";
    int r = 1;
    if (desc_pool_new(conformance_descriptors, conformance_descriptors_size, &pool, error) < 0) {
        fprintf(stderr, "json_testee: %s\n", error);
        return 1;
    }
    while (r > 0)
        r = serve_one(pool);
    desc_pool_free(pool);
    if (r < 0)
        fprintf(stderr, "json_testee: the pipe broke\n");
    return r < 0;
}
