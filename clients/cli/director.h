/* director.h — what a director types, as commands of the contract, and what comes back, as lines.
 * Without a connection. */
#ifndef NOVELCTL_DIRECTOR_H
#define NOVELCTL_DIRECTOR_H
#include <stdbool.h>
#include <novelengine/v1/novel_engine.pb-c.h>
#include "rpc/base/buf.h"

enum director_kind {
    DIRECTOR_NOTHING, /* a blank line or a comment */
    DIRECTOR_SEND,    /* command is filled in */
    DIRECTOR_SHOW,    /* director_put_shown */
    DIRECTOR_QUIT,
    DIRECTOR_WRONG /* problem says what, and what was perhaps meant */
};
enum { DIRECTOR_WORDS_MAX = 16 };
struct director_order {
    enum director_kind kind;
    const char *name; /* of the order: "whisper" */
    char problem[400];
    char *words[DIRECTOR_WORDS_MAX]; /* in the line */
    size_t n;
    Novelengine__V1__DirectorCommand command;
    Novelengine__V1__Edit edit;
    union {
        Novelengine__V1__Edit__Act act;
        Novelengine__V1__Edit__Whisper whisper;
        Novelengine__V1__Edit__SetTrait trait;
        Novelengine__V1__Edit__MoveItem item;
        Novelengine__V1__Edit__ForbidOperator forbid;
        Novelengine__V1__Edit__SwapCharacter swap;
        Novelengine__V1__DirectorCommand__Veto veto;
        Google__Protobuf__Empty empty;
    } part;
};
/* Reads a line, which is cut into words and must live as long as the order.  Names are looked up on
 * the stage (NULL: they are not). */
void director_read(struct director_order *o, char *line,
                   const Novelengine__V1__DirectorUpdate__Stage *stage);
/* What a DIRECTOR_SHOW asks for: help, or names. */
void director_put_shown(struct buf *out, const struct director_order *o,
                        const Novelengine__V1__DirectorUpdate__Stage *stage, bool color);
void director_put_stage(struct buf *out, const Novelengine__V1__DirectorUpdate__Stage *stage,
                        bool color);
void director_put_proposals(struct buf *out, const Novelengine__V1__DirectorUpdate__Proposals *p,
                            bool color);
/* What the server says to the order called `name`. */
void director_put_verdict(struct buf *out, const char *name, const Novelengine__V1__LawVerdict *v,
                          bool color);

#endif
