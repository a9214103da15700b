/* tally_client — the blocking client, for tools: one call after the other.
 *
 *   tally_client [ADDRESS] add NUMBER      adds and prints the total
 *   tally_client [ADDRESS] watch COUNT     prints the total, and COUNT-1 changes */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tally.nrpc.h"

static int usage(void)
{
    fputs("usage: tally_client [ADDRESS] add NUMBER | watch COUNT\n", stderr);
    return 2;
}

static int report(nrpc_status *st)
{
    fprintf(stderr, "tally_client: %s: %s\n", nrpc_code_name(st->code),
            st->message != NULL ? st->message : "");
    nrpc_status_clear(st);
    return 1;
}

static bool print_total(void *ctx, nrpc_msg *m)
{
    (void) ctx;
    printf("%" PRId64 "\n", tally_tally_watch_response(m)->value);
    fflush(stdout);
    nrpc_msg_free(m);
    return true; /* false would cancel the call */
}

static int add(nrpc_client *client, int64_t value)
{
    /* Every call should have a deadline: it travels to the server, which stops working for nobody.
     */
    const nrpc_client_options options = { .options = { .timeout_ms = 5000 } };
    Tally__Addend addend = TALLY__ADDEND__INIT;
    addend.value = value;
    nrpc_msg *message;
    const Tally__Total *total;
    nrpc_status st = NRPC_STATUS_INIT;
    if (tally_tally_add(client, &options, &addend, &message, &total, &st) != NRPC_OK)
        return report(&st);
    printf("%" PRId64 "\n", total->value);
    nrpc_msg_free(message); /* total lived in it */
    return 0;
}

static int watch(nrpc_client *client, uint32_t count)
{
    Tally__WatchRequest request = TALLY__WATCH_REQUEST__INIT;
    request.count = count;
    nrpc_status st = NRPC_STATUS_INIT;
    if (tally_tally_watch(client, NULL, &request, print_total, NULL, &st) != NRPC_OK)
        return report(&st);
    return 0;
}

int main(int argc, char **argv)
{
    const char *address = "127.0.0.1:50052";
    if (argc == 4) {
        address = argv[1];
        argv++;
        argc--;
    }
    if (argc != 3)
        return usage();
    nrpc_channel_options options;
    nrpc_channel_defaults(&options);
    options.target = address;
    nrpc_client *client;
    int r = nrpc_client_new(&options, &client);
    if (r < 0) {
        fprintf(stderr, "tally_client: %s: %s\n", address, nrpc_strerror(r));
        return 1;
    }
    int exit_code = 2;
    if (strcmp(argv[1], "add") == 0)
        exit_code = add(client, strtoll(argv[2], NULL, 10));
    else if (strcmp(argv[1], "watch") == 0)
        exit_code = watch(client, (uint32_t) strtoul(argv[2], NULL, 10));
    else
        usage();
    nrpc_client_free(client);
    return exit_code;
}
