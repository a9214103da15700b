#include "rpc/h2/shield.h"

#include <stdatomic.h>

enum { MILLI = 1000, FREE_UPDATES_START = 64, FREE_UPDATES_MAX = 4096 };
#define PING_IDLE_MIN_NS   (H2_PING_IDLE_MIN_MS * 1000000ull)
#define NS_PER_MILLI_TOKEN (1000000000ull / H2_SHIELD_REFILL / MILLI)

static _Atomic uint64_t totals[H2_ABUSE_KINDS];

static const char *const names[H2_ABUSE_KINDS] = {
    [H2_ABUSE_PING] = "ping",
    [H2_ABUSE_SETTINGS] = "settings",
    [H2_ABUSE_PRIORITY] = "priority",
    [H2_ABUSE_WINDOW_UPDATE] = "window_update",
    [H2_ABUSE_EMPTY_DATA] = "empty_data",
    [H2_ABUSE_UNKNOWN_FRAME] = "unknown_frame",
    [H2_ABUSE_RESET_RECEIVED] = "reset_received",
    [H2_ABUSE_RESET_SENT] = "reset_sent",
};

void h2_shield_init(struct h2_shield *s, uint64_t now_ns)
{
    *s = (struct h2_shield){
        .refilled_ns = now_ns,
        .tokens_milli = H2_SHIELD_BURST * MILLI,
        .free_updates = FREE_UPDATES_START,
    };
}

static void refill(struct h2_shield *s, uint64_t now_ns)
{
    if (now_ns <= s->refilled_ns)
        return;
    uint64_t earned = (now_ns - s->refilled_ns) / NS_PER_MILLI_TOKEN;
    s->refilled_ns += earned * NS_PER_MILLI_TOKEN;
    uint64_t tokens = s->tokens_milli + earned;
    uint64_t full = (uint64_t) H2_SHIELD_BURST * MILLI;
    s->tokens_milli = (uint32_t) (tokens > full ? full : tokens);
}

static bool trip(struct h2_shield *s, enum h2_abuse kind)
{
    s->tripped = true;
    s->why = kind;
    atomic_fetch_add_explicit(&totals[kind], 1, memory_order_relaxed);
    return false;
}

bool h2_shield_charge(struct h2_shield *s, enum h2_abuse kind, uint64_t now_ns)
{
    s->counts[kind]++;
    if (s->tripped)
        return false;
    refill(s, now_ns);
    if (s->tokens_milli >= MILLI) {
        s->tokens_milli -= MILLI;
        return true;
    }
    return trip(s, kind);
}

/* Does this PING come too soon after the last one? */
static bool is_strike(const struct h2_shield *s, bool has_streams, uint64_t last_ns,
                      uint64_t now_ns)
{
    uint64_t min_ns = has_streams || s->ping_permit_idle || s->ping_min_ns > PING_IDLE_MIN_NS
                          ? s->ping_min_ns
                          : PING_IDLE_MIN_NS;
    return s->ping_min_ns > 0 && last_ns != 0 && now_ns - last_ns < min_ns;
}

bool h2_shield_ping(struct h2_shield *s, bool has_streams, uint64_t now_ns)
{
    uint64_t last_ns = s->pinged_ns;
    s->pinged_ns = now_ns;
    if (s->ping_is_free) {
        s->ping_is_free = false;
        s->ping_strikes = 0;
        return !s->tripped;
    }
    if (!h2_shield_charge(s, H2_ABUSE_PING, now_ns))
        return false;
    if (is_strike(s, has_streams, last_ns, now_ns) && ++s->ping_strikes > H2_PING_STRIKES)
        return trip(s, H2_ABUSE_PING);
    return true;
}

bool h2_shield_window_update(struct h2_shield *s, uint64_t now_ns)
{
    if (s->free_updates > 0) {
        s->free_updates--;
        return !s->tripped;
    }
    return h2_shield_charge(s, H2_ABUSE_WINDOW_UPDATE, now_ns);
}

/* 8 KiB of DATA explain two WINDOW_UPDATEs: one of the connection, one of the stream. */
void h2_shield_sent(struct h2_shield *s, uint64_t data_bytes)
{
    s->ping_is_free = true;
    s->unpaid_bytes += data_bytes;
    uint64_t earned = s->unpaid_bytes / H2_SHIELD_DATA_PER_UPDATE;
    s->unpaid_bytes %= H2_SHIELD_DATA_PER_UPDATE;
    uint64_t updates = s->free_updates + 2 * earned;
    s->free_updates = (uint32_t) (updates > FREE_UPDATES_MAX ? FREE_UPDATES_MAX : updates);
}

const char *h2_abuse_name(enum h2_abuse kind)
{
    return (unsigned) kind < H2_ABUSE_KINDS ? names[kind] : "unknown";
}

uint64_t h2_abuse_total(enum h2_abuse kind)
{
    return (unsigned) kind < H2_ABUSE_KINDS
               ? atomic_load_explicit(&totals[kind], memory_order_relaxed)
               : 0;
}
