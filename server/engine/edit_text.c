/* edit_text.c — interventions and forks as plain lines. */
#include "server/engine/edit.h"
#include "server/engine/world.h"
#include <string.h>

static void put_words(const char *name, struct buf *out)
{
    for (; *name != 0; name++)
        buf_putc(out, *name == '_' ? ' ' : *name);
}
/* "seal (the dock hatch)" */
static void put_act(const struct nvl_world *w, const struct nvl_event *e, bool spoilers,
                    struct buf *out)
{
    const struct pack_op *op = &w->pack->ops[e->op];
    unsigned shown = 0;
    put_words(op->name, out);
    for (unsigned i = op->flags & OP_ACTORLESS ? 0 : 1; i < e->args_count; i++) {
        if (e->args[i] == NVL_NONE)
            continue;
        buf_puts(out, shown++ == 0 ? " (" : ", ");
        world_put_entity(w, (enum nvl_sort) op->params[i].sort, e->args[i], spoilers, out);
    }
    if (shown > 0)
        buf_putc(out, ')');
}
static void put_who(const struct nvl_world *w, const struct nvl_event *e, struct buf *out)
{
    if (e->change.who == NVL_NONE)
        buf_puts(out, "nobody");
    else
        world_put_entity(w, NVL_SORT_CHAR, e->change.who, false, out);
}
static void put_whisper(const struct nvl_world *w, const struct nvl_event *e, bool spoilers,
                        struct buf *out)
{
    const struct nvl_entity *fact = nvl_world_entity(w, NVL_SORT_FACT, e->change.thing);
    struct buf said = { 0 };
    world_put_entity(w, NVL_SORT_FACT, e->change.thing, spoilers, &said);
    bool clause = fact != NULL && fact->detail[0] != 0 && said.size > 0 &&
                  strcmp(buf_str(&said), fact->detail) == 0;
    buf_puts(out, "The director ");
    buf_puts(out, e->change.value == NVL_SUSPECTS      ? "makes "
                  : e->change.value == NVL_DISBELIEVES ? "assures "
                                                       : "tells ");
    put_who(w, e, out);
    buf_puts(out, e->change.value == NVL_SUSPECTS ? " suspect" : "");
    buf_puts(out, e->change.value == NVL_DISBELIEVES ? " that it is not so" : "");
    buf_puts(out, !clause ? ": " : e->change.value == NVL_DISBELIEVES ? ": " : " that ");
    buf_put(out, said.data, said.size);
    buf_done(&said);
}
static void put_item(const struct nvl_world *w, const struct nvl_event *e, struct buf *out)
{
    bool given = e->change.to_sort == NVL_SORT_CHAR;
    buf_puts(out, given ? "The director gives " : "The director puts ");
    world_put_entity(w, NVL_SORT_ITEM, e->change.thing, false, out);
    buf_puts(out, given ? " to " : " down at ");
    world_put_entity(w, (enum nvl_sort) e->change.to_sort, e->change.to, false, out);
}
static void put_forked(const struct nvl_event *e, struct buf *out)
{
    buf_printf(out, "The story forks here, to be told in %u turn%s.", (unsigned) e->turns,
               e->turns == 1 ? "" : "s");
}
void world_edit_text(const struct nvl_world *w, const struct nvl_event *e, bool spoilers,
                     struct buf *out)
{
    bool has_op = e->op < w->pack->counts[SEC_OPER];
    if (e->type == NVL_FORKED) {
        put_forked(e, out);
        return;
    }
    switch (has_op ? e->change.kind : e->change.kind << 4) {
    case NVL_EDIT_ACT:
        buf_puts(out, "The director has ");
        put_who(w, e, out);
        buf_puts(out, " do this next: ");
        put_act(w, e, spoilers, out);
        break;
    case NVL_EDIT_VETO:
        buf_puts(out, "The director will not have ");
        put_who(w, e, out);
        buf_puts(out, " do this in the next turn: ");
        put_act(w, e, spoilers, out);
        break;
    case NVL_EDIT_INCIDENT:
        buf_puts(out, "The director calls for this to happen: ");
        put_act(w, e, spoilers, out);
        break;
    case NVL_EDIT_FORBID:
        buf_puts(out, "From here on ");
        put_who(w, e, out);
        buf_puts(out, e->change.who == NVL_NONE ? " may do this: " : " may not do this: ");
        put_act(w, e, spoilers, out);
        break;
    case NVL_EDIT_WHISPER << 4:
        put_whisper(w, e, spoilers, out);
        break;
    case NVL_EDIT_TRAIT << 4:
        buf_puts(out, "From here on the ");
        buf_puts(out, e->change.thing < NVL_TRAITS ? pack_trait_names[e->change.thing] : "nature");
        buf_puts(out, " of ");
        put_who(w, e, out);
        buf_printf(out, " is %u", (unsigned) e->change.value);
        break;
    case NVL_EDIT_ITEM << 4:
        put_item(w, e, out);
        break;
    default:
        buf_puts(out, "The director changes something");
    }
    buf_putc(out, '.');
}
