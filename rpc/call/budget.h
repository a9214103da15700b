/* budget.h — memory of messages that are not whole yet: 16 MiB a connection, 256 MiB the process.
 * A new message is begun only while both have room; one message of a connection is always admitted,
 * so that no connection can starve another to death.  What is begun may pass the limit by itself,
 * once. */
#ifndef NRPC_CALL_BUDGET_H
#define NRPC_CALL_BUDGET_H
#include <stdbool.h>
#include <stdint.h>

enum {
    CALL_BUDGET_CONNECTION = 16 << 20,
    CALL_BUDGET_PROCESS = 256 << 20,
    CALL_BUDGET_WAIT_MS = 30000
};

struct call_budget {
    int64_t used; /* by one connection; its loop's thread only */
};

bool call_budget_allows(const struct call_budget *b); /* may a message be begun now? */
void call_budget_add(struct call_budget *b, int64_t delta);
int64_t call_budget_process(void); /* [any] bytes held now */

#endif
