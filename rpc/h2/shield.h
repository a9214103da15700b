/* shield.h — the budget for frames that bring nothing forward (PING, SETTINGS, resets, empty DATA,
 * ...). One token bucket a connection: each such frame costs 1; burst 1,000, refill 100 a second.
 * An empty bucket means the peer is hostile or broken, and the connection ends with
 * GOAWAY(ENHANCE_YOUR_CALM).  A server may also police PINGs (gRFC A8): one that comes sooner than
 * ping_min_ns after the one before is a strike, the third strike ends the connection, and what we
 * send in HEADERS or DATA wipes strikes out.  Pure: time comes in as an argument. */
#ifndef NRPC_H2_SHIELD_H
#define NRPC_H2_SHIELD_H
#include <stdbool.h>
#include <stdint.h>

enum h2_abuse {
    H2_ABUSE_PING,
    H2_ABUSE_SETTINGS,
    H2_ABUSE_PRIORITY,
    H2_ABUSE_WINDOW_UPDATE, /* beyond what the DATA we sent explains */
    H2_ABUSE_EMPTY_DATA,
    H2_ABUSE_UNKNOWN_FRAME,
    H2_ABUSE_RESET_RECEIVED,
    H2_ABUSE_RESET_SENT, /* that the peer made us send */
    H2_ABUSE_GOAWAY,     /* said again */
    /* The rest is not charged but noted once the limit of its kind is over (h2_abuse_note). */
    H2_ABUSE_CONTINUATION,
    H2_ABUSE_SETTINGS_ENTRIES,
    H2_ABUSE_UNREAD_ANSWERS, /* to PING and SETTINGS */
    H2_ABUSE_HEADER_LIST,
    H2_ABUSE_SLOW_HANDSHAKE,
    H2_ABUSE_SLOW_HEADERS,
    H2_ABUSE_SLOW_REQUEST,
    H2_ABUSE_STALLED_STREAM,
    H2_ABUSE_NOT_READING,
    H2_ABUSE_PROTOCOL_ERROR, /* any other breach that ends a connection */
    H2_ABUSE_KINDS
};
enum { H2_SHIELD_BURST = 1000, H2_SHIELD_REFILL = 100, H2_SHIELD_DATA_PER_UPDATE = 8192 };
enum { H2_SHIELD_RESET_COST = 10, H2_SHIELD_FREE_RESETS = 1000 };
enum { H2_PING_STRIKES = 2, H2_PING_IDLE_MIN_MS = 7200000 };

struct h2_shield {
    uint64_t refilled_ns;
    uint32_t tokens_milli; /* thousandths of a token */
    uint32_t free_updates; /* WINDOW_UPDATEs that DATA paid for */
    uint32_t free_resets;  /* resets received that answers paid for */
    uint64_t unpaid_bytes; /* DATA sent since the last one was granted */
    uint64_t ping_min_ns;  /* between two PINGs; 0: not policed */
    uint64_t pinged_ns;    /* the last PING; 0: none yet */
    uint8_t ping_strikes;
    bool ping_permit_idle; /* ping_min_ns holds without streams, too; else two hours do */
    bool ping_is_free;     /* HEADERS or DATA went out since the last PING */
    bool tripped;
    enum h2_abuse why; /* once tripped */
    uint32_t counts[H2_ABUSE_KINDS];
};

void h2_shield_init(struct h2_shield *s, uint64_t now_ns);
/* Charges one frame; false once the budget is spent. */
bool h2_shield_charge(struct h2_shield *s, enum h2_abuse kind, uint64_t now_ns);
bool h2_shield_ping(struct h2_shield *s, bool has_streams, uint64_t now_ns);
bool h2_shield_window_update(struct h2_shield *s, uint64_t now_ns);
/* A reset costs nothing while more streams were answered whole than reset: a client that hedges is
 * no attacker. */
bool h2_shield_reset(struct h2_shield *s, uint64_t now_ns);
void h2_shield_answered(struct h2_shield *s); /* one more stream was */
/* A reset that the peer made us send.  Refusing a stream costs 1: clients may open many before they
 * have read our limit; other resets cost H2_SHIELD_RESET_COST, since only a broken peer earns them.
 */
bool h2_shield_reset_sent(struct h2_shield *s, bool refused, uint64_t now_ns);
/* HEADERS (0 bytes) or DATA went out.  whole: all that was due, so that no window held it back. */
void h2_shield_sent(struct h2_shield *s, uint64_t data_bytes, bool whole);
void h2_shield_received(struct h2_shield *s); /* DATA that is not empty came in */
/* [any] One more connection or stream ended for this. */
void h2_abuse_note(enum h2_abuse kind);
const char *h2_abuse_name(enum h2_abuse kind);
/* [any] Connections of the process that were ended for it, by the kind that emptied the bucket. */
uint64_t h2_abuse_total(enum h2_abuse kind);

#endif
