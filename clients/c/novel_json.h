/* novel_json.h — protobuf-c messages as JSON, from their descriptors.  The dialect is the one of
 * the engine's REST routes: proto field names, 64-bit integers as numbers, defaults written, enums
 * by name, bytes in base64, an absent message left out (an absent Struct is {}).  Well-known types
 * have their own shapes.  [any thread] */
#ifndef NOVEL_CLIENT_JSON_H
#define NOVEL_CLIENT_JSON_H
#include <protobuf-c/protobuf-c.h>
#include "rpc/base/buf.h"

/* Appends m; indent < 0 writes one line, else pretty lines that start with so many spaces.  What is
 * nested deeper than 100 is written as null.  Without memory out->failed is set. */
void novel_json_put(struct buf *out, const ProtobufCMessage *m, int indent);
/* Appends text as a JSON string; bytes that are no UTF-8 become U+FFFD. */
void novel_json_put_string(struct buf *out, const char *text, size_t size);

#endif
