/* to_wire.h — JSON text to protobuf wire bytes, straight through: fed in pieces, no tree, no
 * message objects. proto3's JSON mapping (https://protobuf.dev/programming-guides/json/): JSON or
 * proto names, well-known types, 64-bit numbers exact, enums by name or number, base64 of both
 * alphabets, null is absent. Pure; one thread at a time; no recursion on the input but for Any in
 * Any, TO_WIRE_ANY_MAX deep. */
#ifndef NOVEL_GATEWAY_TO_WIRE_H
#define NOVEL_GATEWAY_TO_WIRE_H
#include "gateway/descriptors.h"
#include "gateway/json_reader.h"
#include "gateway/wire.h"

enum { TO_WIRE_ANY_MAX = 8 };

struct to_wire_options {
    const struct desc_pool *pool; /* for the types of Any */
    bool ignore_unknown;          /* keys and enum names that the contract lacks */
    bool accept_snake;            /* field masks in proto names too */
    bool replace_nul;             /* U+0000 in strings becomes U+FFFD: what C servers cannot hold */
    struct buf *mask; /* NULL, or receives a FieldMask's content: each leaf that the body names */
};
enum to_wire_kind {
    TO_WIRE_ROOT,
    TO_WIRE_MESSAGE,
    TO_WIRE_REPEATED,
    TO_WIRE_MAP,
    TO_WIRE_STRUCT,
    TO_WIRE_LIST,
    TO_WIRE_ANY,
    TO_WIRE_SKIP
};
struct to_wire_frame {
    uint8_t kind;
    bool masked;     /* its keys are leaves or inner nodes of the mask */
    bool named;      /* a key came */
    bool typed;      /* the keys of an Any's message: "@type" stands among them */
    uint8_t regions; /* open while this frame waits for a value */
    uint32_t seen;   /* offset of its bits in `seen` */
    uint32_t depth;  /* of TO_WIRE_SKIP and TO_WIRE_ANY: containers open inside */
    const struct desc_message *message; /* ROOT (when field is NULL), MESSAGE */
    const struct desc_field *field;     /* that the next value is for */
    size_t start;                       /* REPEATED, MAP: where the value being written begins */
};
struct to_wire {
    struct json_reader reader; /* reader.error says what was wrong */
    struct to_wire_options options;
    struct buf *out;
    const Nrpc__FieldRules *rules; /* of the value being written, for what is said of it */
    bool skip_next;
    uint8_t n_regions, n_frames, any_depth;
    struct buf seen;
    struct buf capture, any_type; /* an Any's object, kept until its type is known */
    bool capture_comma, type_follows, has_type;
    size_t regions[WIRE_DEPTH_MAX];
    uint32_t
        groups[WIRE_DEPTH_MAX]; /* of each region: the number of the group it is; 0: a length */
    struct to_wire_frame frames[JSON_DEPTH_MAX + 2];
};

/* The document is one message of type m; its content is appended to out, which is lent until done.
 */
void to_wire_init(struct to_wire *t, const struct desc_message *m, struct buf *out,
                  const struct to_wire_options *o);
/* The document is the value of field f (any kind); tag and value are appended. */
void to_wire_init_field(struct to_wire *t, const struct desc_field *f, struct buf *out,
                        const struct to_wire_options *o);
void to_wire_done(struct to_wire *t);
/* 0, or negative: NRPC_E_PROTO with reader.error set, NRPC_E_NOMEM. */
int to_wire_feed(struct to_wire *t, const void *data, size_t size);
int to_wire_finish(struct to_wire *t);

#endif
