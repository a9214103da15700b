/* edit_name.c — names of an edit looked up, and what to say of one that does not exist. */
#include "server/engine/edit_name.h"
#include <stdio.h>
#include <string.h>
#include "rpc/base/utf8.h"

enum { SHOWN = 40, COMPARED = 48, NEAR = 3 };

int name_entity(const struct nvl_world *w, enum nvl_sort sort, const char *id)
{
    for (unsigned i = 0; i < w->counts[sort]; i++)
        if (strcmp(w->entities[sort][i].id, id) == 0)
            return (int) i;
    return -1;
}

/* Letters to be changed, added or dropped between two short names. */
static unsigned distance(const char *a, const char *b)
{
    unsigned n = (unsigned) strnlen(a, COMPARED), m = (unsigned) strnlen(b, COMPARED);
    unsigned row[COMPARED + 1];
    for (unsigned k = 0; k <= m; k++)
        row[k] = k;
    for (unsigned i = 1; i <= n; i++) {
        unsigned corner = row[0];
        row[0] = i;
        for (unsigned k = 1; k <= m; k++) {
            unsigned best = corner + (a[i - 1] != b[k - 1]);
            corner = row[k];
            best = row[k] + 1 < best ? row[k] + 1 : best;
            row[k] = row[k - 1] + 1 < best ? row[k - 1] + 1 : best;
        }
    }
    return row[m];
}
struct search {
    const char *wanted;
    const char *nearest;
    unsigned away;
    char some[96]; /* names that exist, for one that is like none of them */
    unsigned more; /* how many did not fit there */
};
static void offer(struct search *s, const char *name)
{
    unsigned d = distance(s->wanted, name);
    size_t have = strlen(s->some), n = strlen(name);
    if (d < s->away)
        s->away = d, s->nearest = name;
    if (have + n + 3 < sizeof(s->some)) {
        memcpy(s->some + have, ", ", have > 0 ? 2 : 0);
        memcpy(s->some + have + (have > 0 ? 2 : 0), name, n + 1);
    } else {
        s->more++;
    }
}
/* What was sent, cut to a length that fits into a sentence, and shown only if it is text. */
static void shorten(const char *text, char out[SHOWN + 4])
{
    size_t n = strlen(text), keep = n <= SHOWN ? n : SHOWN;
    while (keep < n && keep > 0 && ((unsigned char) text[keep] & 0xC0) == 0x80)
        keep--;
    bool plain = utf8_valid(text, keep);
    for (size_t i = 0; i < keep; i++)
        plain &= (unsigned char) text[i] >= 0x20 && text[i] != 0x7F;
    memcpy(out, plain ? text : "?", plain ? keep : 1);
    memcpy(out + (plain ? keep : 1), keep < n ? "..." : "", keep < n ? 4 : 1);
}
static int say(const struct search *s, const char *what, const char *field, struct nvl_error *err)
{
    char shown[SHOWN + 4];
    shorten(s->wanted, shown);
    char more[32] = "";
    if (s->more > 0)
        snprintf(more, sizeof more, " and %u more", s->more);
    if (s->wanted[0] == 0)
        nvl_error_set(err, field, "names no %s%s%s%s", what, s->some[0] != 0 ? "; there are: " : "",
                      s->some, more);
    else if (s->nearest != NULL && s->away < NEAR && s->away < strlen(s->wanted))
        nvl_error_set(err, field, "there is no %s \"%s\"; did you mean \"%s\"?", what, shown,
                      s->nearest);
    else
        nvl_error_set(err, field, "there is no %s \"%s\"%s%s%s", what, shown,
                      s->some[0] != 0 ? "; there are: " : "", s->some, more);
    return NVL_E_INVALID;
}
int name_unknown_entity(const struct nvl_world *w, enum nvl_sort sort, const char *id,
                        const char *field, struct nvl_error *err)
{
    static const char *const what[NVL_SORTS] = { "",     "character", "place", "way",
                                                 "item", "fact",      "clue",  "motif" };
    struct search s = { .wanted = id, .away = UINT32_MAX };
    for (unsigned i = 0; i < w->counts[sort]; i++)
        offer(&s, w->entities[sort][i].id);
    return say(&s, what[sort], field, err);
}
int name_unknown_op(const struct nvl_pack *p, bool incident, const char *name, const char *field,
                    struct nvl_error *err)
{
    struct search s = { .wanted = name, .away = UINT32_MAX };
    for (unsigned i = 0; i < p->counts[SEC_OPER]; i++)
        if ((p->ops[i].kind == NVL_OP_INCIDENT) == incident)
            offer(&s, p->ops[i].name);
    return say(&s, incident ? "incident" : "operator", field, err);
}
int name_unknown_trait(const char *name, const char *field, struct nvl_error *err)
{
    struct search s = { .wanted = name, .away = UINT32_MAX };
    for (unsigned i = 0; i < NVL_TRAITS; i++)
        offer(&s, pack_trait_names[i]);
    return say(&s, "trait", field, err);
}
