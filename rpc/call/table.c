#include "rpc/call/table.h"

#include "rpc/base/alloc.h"

enum { NUMBERS_AT_ONCE = 4096, NONE = UINT32_MAX };

struct slot {
    nrpc_call *call; /* NULL: free */
    uint32_t generation, next_free;
};
struct call_table {
    struct slot *slots;
    uint32_t count, capacity, first_free;
    uint64_t next_number, last_number; /* the block of numbers this loop may give out */
};

static _Atomic uint64_t numbers_given;

static void table_done(void *value)
{
    struct call_table *t = value;
    alloc_free(t->slots);
    alloc_free(t);
}

static struct call_table *table_of(nrpc_loop *l)
{
    struct call_table *t = loop_slot(l, LOOP_SLOT_CALLS);
    if (t != NULL)
        return t;
    t = alloc_zero(1, sizeof *t);
    if (t == NULL)
        return NULL;
    t->first_free = NONE;
    loop_set_slot(l, LOOP_SLOT_CALLS, t, table_done);
    return t;
}

static int table_grow(struct call_table *t)
{
    uint32_t capacity = t->capacity == 0 ? 64 : t->capacity * 2;
    if (capacity > UINT32_MAX / 2)
        return NRPC_E_NOMEM;
    struct slot *slots = alloc_resize(t->slots, capacity * sizeof *slots);
    if (slots == NULL)
        return NRPC_E_NOMEM;
    for (uint32_t i = capacity; i-- > t->capacity;) {
        slots[i] = (struct slot){ NULL, 1, t->first_free };
        t->first_free = i;
    }
    t->slots = slots;
    t->capacity = capacity;
    return 0;
}

int call_table_add(nrpc_loop *l, nrpc_call *c, nrpc_call_id *out_id, uint64_t *out_number)
{
    struct call_table *t = table_of(l);
    if (t == NULL || (t->first_free == NONE && table_grow(t) < 0))
        return NRPC_E_NOMEM;
    if (t->next_number == t->last_number) {
        t->next_number =
            atomic_fetch_add_explicit(&numbers_given, NUMBERS_AT_ONCE, memory_order_relaxed);
        t->last_number = t->next_number + NUMBERS_AT_ONCE;
    }
    uint32_t i = t->first_free;
    t->first_free = t->slots[i].next_free;
    t->slots[i].call = c;
    t->count++;
    *out_id = (nrpc_call_id){ i, t->slots[i].generation };
    *out_number = ++t->next_number;
    return 0;
}

static struct slot *slot_find(nrpc_loop *l, nrpc_call_id id)
{
    struct call_table *t = loop_slot(l, LOOP_SLOT_CALLS);
    if (t == NULL || id.slot >= t->capacity)
        return NULL;
    struct slot *s = &t->slots[id.slot];
    return s->generation == id.generation && s->call != NULL ? s : NULL;
}

void call_table_remove(nrpc_loop *l, nrpc_call_id id)
{
    struct call_table *t = loop_slot(l, LOOP_SLOT_CALLS);
    struct slot *s = slot_find(l, id);
    if (s == NULL)
        return;
    s->call = NULL;
    /* 0 stays invalid, so that a zeroed nrpc_call_id never finds a call. */
    if (++s->generation == 0)
        s->generation = 1;
    s->next_free = t->first_free;
    t->first_free = id.slot;
    t->count--;
}

size_t call_table_count(nrpc_loop *l)
{
    struct call_table *t = loop_slot(l, LOOP_SLOT_CALLS);
    return t == NULL ? 0 : t->count;
}

nrpc_call *nrpc_call_get(nrpc_loop *loop, nrpc_call_id id)
{
    ON_LOOP(loop);
    struct slot *s = slot_find(loop, id);
    return s == NULL ? NULL : s->call;
}
