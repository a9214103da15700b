/* memo.h — JSON that was just written, for those who are sent the same message: a thousand watchers of
 * one story get each event written once.  One per loop. */
#ifndef NOVEL_GATEWAY_MEMO_H
#define NOVEL_GATEWAY_MEMO_H
#include "gateway/to_json.h"
#include "rpc/nrpc.h"

enum { MEMO_SLOTS = 512, MEMO_ITEM_MAX = 16384, MEMO_BYTES_MAX = 1 << 20 };

struct memo {
    struct memo_item *slots[MEMO_SLOTS];
    uint64_t seen[MEMO_SLOTS]; /* hash of what was last written anew: kept when it comes again */
    size_t bytes; /* of all items */
};
/* to_json_message (field NULL) or to_json_field, taken from what was written before where the message,
 * its type and the style are the same; what comes a second time is kept.  A message of which only some fields are wanted is written anew.
 * Without memory it is written, and not kept. */
int memo_json(struct memo *memo, struct to_json *t, const struct desc_message *m,
              const struct desc_field *field, nrpc_slice message, struct buf *out);
/* Forgets everything: descriptors were read anew, or the loop ends. */
void memo_clear(struct memo *memo);

#endif
