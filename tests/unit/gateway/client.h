/* client.h — raw HTTP over plain sockets, for tests of the front door. */
#ifndef TESTS_GATEWAY_CLIENT_H
#define TESTS_GATEWAY_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpc/base/buf.h"

extern uint16_t client_port; /* of the gateway, on the loopback */
int client_dial(void);       /* receives wait 30 s at most */
void client_send(int fd, const void *data, size_t size);
/* Appends what comes until `text` stands in out (NULL: until the end).  False when the end came
 * first. */
bool client_read_until(int fd, struct buf *out, const char *text);
/* One request on a connection of its own, sent `step` bytes at a time, read to the end. */
void client_ask_in_steps(const char *request, size_t size, size_t step, struct buf *out);
/* The same from its parts, with Connection: close; out is emptied first.  body NULL: none. */
void client_ask(const char *method, const char *path, const char *headers, const char *body,
                struct buf *out);

#endif
