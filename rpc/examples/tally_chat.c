/* tally_chat — the event-driven client: one channel on one loop, a stream both ways.
 *
 *   tally_chat [ADDRESS] < NUMBERS       adds each number of standard input, prints each total
 *
 * All numbers are read before the loop runs: a loop must never wait for a file. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "tally.nrpc.h"

enum { NUMBERS_MAX = 100000 };
struct chat {
    nrpc_loop *loop;
    int64_t *numbers;
    size_t count, sent;
    int exit_code;
};

/* Sends as much as the flow contract lets it: after NRPC_PAUSE it goes on in on_writable. */
static void send_more(nrpc_call *c, struct chat *chat)
{
    while (chat->sent < chat->count) {
        Tally__Addend addend = TALLY__ADDEND__INIT;
        addend.value = chat->numbers[chat->sent];
        int r = tally_tally_chat_send(c, &addend);
        if (r < 0)
            return; /* the call is ending: on_end says why */
        chat->sent++;
        if (r == NRPC_PAUSE)
            return;
    }
    nrpc_call_half_close(c);
}

static void on_total(nrpc_call *c, void *state, nrpc_msg *m)
{
    (void) state;
    printf("%" PRId64 "\n", tally_tally_chat_response(m)->value);
    nrpc_msg_free(m);
    nrpc_call_want(c, 1);
}

static void on_writable(nrpc_call *c, void *state)
{
    send_more(c, state);
}

static void on_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    struct chat *chat = state;
    if (st->code != NRPC_OK) {
        fprintf(stderr, "tally_chat: %s: %s\n", nrpc_code_name(st->code),
                st->message != NULL ? st->message : "");
        chat->exit_code = 1;
    }
    nrpc_loop_stop(chat->loop);
}

static const nrpc_events events = { .on_message = on_total,
                                    .on_writable = on_writable,
                                    .on_end = on_end };

static int run(struct chat *chat, const char *address)
{
    nrpc_channel_options options;
    nrpc_channel_defaults(&options);
    options.target = address;
    nrpc_channel *channel;
    int r = nrpc_loop_new(&chat->loop);
    if (r < 0)
        return r;
    if ((r = nrpc_channel_new(chat->loop, &options, &channel)) < 0) {
        nrpc_loop_free(chat->loop);
        return r;
    }
    nrpc_call *call;
    r = tally_tally_chat_start(channel, NULL, &events, chat, &call);
    if (r == 0) {
        send_more(call, chat);
        r = nrpc_loop_run(chat->loop);
    }
    nrpc_channel_close(channel);
    nrpc_loop_free(chat->loop);
    return r;
}

int main(int argc, char **argv)
{
    struct chat chat = { .numbers = calloc(NUMBERS_MAX, sizeof(int64_t)) };
    if (chat.numbers == NULL)
        return 1;
    while (chat.count < NUMBERS_MAX && scanf("%" SCNd64, &chat.numbers[chat.count]) == 1)
        chat.count++;
    int r = run(&chat, argc > 1 ? argv[1] : "127.0.0.1:50052");
    free(chat.numbers);
    if (r < 0) {
        fprintf(stderr, "tally_chat: %s\n", nrpc_strerror(r));
        return 1;
    }
    return chat.exit_code;
}
