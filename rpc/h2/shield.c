#include "rpc/h2/shield.h"

#include <stdatomic.h>
#include <stddef.h>

#include "rpc/nrpc.h"

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
    [H2_ABUSE_GOAWAY] = "goaway",
    [H2_ABUSE_CONTINUATION] = "continuation",
    [H2_ABUSE_SETTINGS_ENTRIES] = "settings_entries",
    [H2_ABUSE_UNREAD_ANSWERS] = "unread_answers",
    [H2_ABUSE_HEADER_LIST] = "header_list",
    [H2_ABUSE_SLOW_HANDSHAKE] = "slow_handshake",
    [H2_ABUSE_SLOW_HEADERS] = "slow_headers",
    [H2_ABUSE_SLOW_REQUEST] = "slow_request",
    [H2_ABUSE_STALLED_STREAM] = "stalled_stream",
    [H2_ABUSE_NOT_READING] = "not_reading",
    [H2_ABUSE_PROTOCOL_ERROR] = "protocol_error",
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

static bool charge(struct h2_shield *s, enum h2_abuse kind, uint32_t tokens, uint64_t now_ns)
{
    s->counts[kind]++;
    if (s->tripped)
        return false;
    refill(s, now_ns);
    if (s->tokens_milli >= tokens * MILLI) {
        s->tokens_milli -= tokens * MILLI;
        return true;
    }
    return trip(s, kind);
}

bool h2_shield_charge(struct h2_shield *s, enum h2_abuse kind, uint64_t now_ns)
{
    return charge(s, kind, 1, now_ns);
}

bool h2_shield_reset(struct h2_shield *s, uint64_t now_ns)
{
    if (s->free_resets > 0) {
        s->free_resets--;
        return !s->tripped;
    }
    return charge(s, H2_ABUSE_RESET_RECEIVED, 1, now_ns);
}

void h2_shield_answered(struct h2_shield *s)
{
    if (s->free_resets < H2_SHIELD_FREE_RESETS)
        s->free_resets++;
}

bool h2_shield_reset_sent(struct h2_shield *s, bool refused, uint64_t now_ns)
{
    return charge(s, H2_ABUSE_RESET_SENT, refused ? 1 : H2_SHIELD_RESET_COST, now_ns);
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

static void earn(struct h2_shield *s, uint64_t pairs)
{
    uint64_t updates = s->free_updates + 2 * pairs;
    s->free_updates = (uint32_t) (updates > FREE_UPDATES_MAX ? FREE_UPDATES_MAX : updates);
}

/* 8 KiB of DATA explain two WINDOW_UPDATEs: one of the connection, one of the stream.  So does a
 * whole message, however short: gRPC's C core grants window for each that it reads.  A peer that
 * opens its window byte by byte never lets us send a whole one. */
void h2_shield_sent(struct h2_shield *s, uint64_t data_bytes, bool whole)
{
    s->ping_is_free = true;
    s->unpaid_bytes += data_bytes;
    uint64_t earned = s->unpaid_bytes / H2_SHIELD_DATA_PER_UPDATE;
    s->unpaid_bytes %= H2_SHIELD_DATA_PER_UPDATE;
    earn(s, earned + whole);
}

/* The C core writes the windows of what it read in front of its own next message.  Answers to
 * messages that came in a row share a frame, and the windows go back one by one all the same. */
void h2_shield_received(struct h2_shield *s)
{
    earn(s, 1);
}

void h2_abuse_note(enum h2_abuse kind)
{
    atomic_fetch_add_explicit(&totals[kind], 1, memory_order_relaxed);
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

const char *nrpc_abuse_name(size_t kind)
{
    return kind < H2_ABUSE_KINDS ? names[kind] : NULL;
}

uint64_t nrpc_abuse_count(size_t kind)
{
    return kind < H2_ABUSE_KINDS ? h2_abuse_total((enum h2_abuse) kind) : 0;
}
