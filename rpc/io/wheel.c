#include "rpc/io/wheel.h"

enum { SLOT_BITS = 6 };
#define TICK_NS  1000000u
#define TICK_MAX ((UINT64_C(1) << SLOT_BITS * WHEEL_LEVELS) - 1)

/* Rounded up: a timer never fires before its time. */
static uint64_t tick_of(uint64_t due_ns)
{
    uint64_t tick = due_ns / TICK_NS + (due_ns % TICK_NS != 0);
    return tick > TICK_MAX ? TICK_MAX : tick;
}

void wheel_init(struct wheel *w, uint64_t now_ns)
{
    w->elapsed = now_ns / TICK_NS;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        w->used[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&w->slots[level][slot]);
    }
    list_init(&w->soon);
}

void wheel_add(struct wheel *w, struct timer *t)
{
    uint64_t tick = tick_of(t->due_ns);
    if (tick <= w->elapsed) {
        list_add_tail(&w->soon, &t->link);
        return;
    }
    unsigned level = (63u - (unsigned) __builtin_clzll(tick ^ w->elapsed)) / SLOT_BITS;
    unsigned slot = (unsigned) (tick >> level * SLOT_BITS) % WHEEL_SLOTS;
    list_add_tail(&w->slots[level][slot], &t->link);
    w->used[level] |= UINT64_C(1) << slot;
}

void wheel_remove(struct wheel *w, struct timer *t)
{
    struct list *head = t->link.next;
    list_remove(&t->link);
    /* Only a head can be alone in its list; if it is one of the slots, the slot is free again. */
    uintptr_t at = (uintptr_t) head, first = (uintptr_t) &w->slots[0][0];
    if (!list_empty(head) || at < first || at >= first + sizeof w->slots)
        return;
    size_t index = (at - first) / sizeof(struct list);
    w->used[index / WHEEL_SLOTS] &= ~(UINT64_C(1) << index % WHEEL_SLOTS);
}

/* First slot that comes due.  A lower level always comes before a higher one, because its timers
 * share all higher bits with `elapsed`. */
static bool first_slot(const struct wheel *w, unsigned *out_level, unsigned *out_slot,
                       uint64_t *out_tick)
{
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        if (w->used[level] == 0)
            continue;
        unsigned slot = (unsigned) __builtin_ctzll(w->used[level]);
        uint64_t below = (UINT64_C(1) << (level + 1) * SLOT_BITS) - 1;
        *out_level = level;
        *out_slot = slot;
        *out_tick = (w->elapsed & ~below) | (uint64_t) slot << level * SLOT_BITS;
        return true;
    }
    return false;
}

void wheel_advance(struct wheel *w, uint64_t now_ns, struct list *ready)
{
    struct list *link;
    while ((link = list_take(&w->soon)) != NULL)
        list_add_tail(ready, link);
    uint64_t now = now_ns / TICK_NS, tick;
    unsigned level, slot;
    while (first_slot(w, &level, &slot, &tick) && tick <= now) {
        w->elapsed = tick;
        w->used[level] &= ~(UINT64_C(1) << slot);
        while ((link = list_take(&w->slots[level][slot])) != NULL) {
            struct timer *t = LIST_ENTRY(link, struct timer, link);
            if (tick_of(t->due_ns) <= tick)
                list_add_tail(ready, link);
            else
                wheel_add(w, t);
        }
    }
    if (now > w->elapsed)
        w->elapsed = now;
}

bool wheel_next(const struct wheel *w, uint64_t *out_due_ns)
{
    if (!list_empty(&w->soon)) {
        *out_due_ns = 0;
        return true;
    }
    unsigned level, slot;
    uint64_t tick;
    if (!first_slot(w, &level, &slot, &tick))
        return false;
    *out_due_ns = tick * TICK_NS;
    return true;
}
