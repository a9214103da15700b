#include "tests/unit/rpc/wire_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/base/check.h"
#include "tests/unit/rpc/wire_peer.h"

enum { PREFACE_BYTES = 24 };

static void send_all(int fd, const char *script)
{
    struct buf bytes = { 0 };
    wire_compose(&bytes, script);
    for (size_t at = 0; at < bytes.size;) {
        ssize_t n = send(fd, bytes.data + at, bytes.size - at, MSG_NOSIGNAL);
        if (n <= 0)
            break;
        at += (size_t) n;
    }
    buf_done(&bytes);
}

/* Returns whether the script is due. */
static bool on_frame(struct wire_server *s, const uint8_t *head, const uint8_t *payload, size_t n)
{
    bool end = (head[4] & 1) != 0;
    switch (head[3]) {
    case 0:
        s->data_bytes += n;
        return s->wait_end && end;
    case 1:
        if (s->requests++ == 0)
            buf_put(&s->head, payload, n);
        return !s->wait_end || end;
    case 3:
        s->resets++;
        s->reset_code = payload[3];
        return false;
    case 7:
        s->goaways++;
        return false;
    default:
        return false;
    }
}

static size_t length_of(const uint8_t *head)
{
    return (size_t) head[0] << 16 | (size_t) head[1] << 8 | head[2];
}

static void serve(struct wire_server *s, int fd)
{
    struct buf in = { 0 };
    size_t skip = PREFACE_BYTES;
    bool answered = false, open = true;
    s->connections++;
    send_all(fd, "SETTINGS 0 -; SETTINGS 0 e");
    while (open) {
        uint8_t bytes[16384];
        ssize_t got = recv(fd, bytes, sizeof bytes, 0);
        if (got <= 0)
            break;
        buf_put(&in, bytes, (size_t) got);
        while (open && in.size >= skip + 9 && in.size - skip - 9 >= length_of(in.data + skip)) {
            const uint8_t *head = in.data + skip;
            bool due = on_frame(s, head, head + 9, length_of(head));
            if (due && !answered) {
                answered = true;
                send_all(fd, s->script);
                open = !s->hang_up;
            }
            buf_drop(&in, skip + 9 + length_of(head));
            skip = 0;
        }
    }
    buf_done(&in);
    close(fd);
}

static void *run(void *arg)
{
    struct wire_server *s = arg;
    while (!atomic_load(&s->done)) {
        struct pollfd w = { s->listener, POLLIN, 0 };
        if (poll(&w, 1, 20) == 1) {
            int fd = accept(s->listener, NULL, NULL);
            if (fd >= 0)
                serve(s, fd);
        }
    }
    return NULL;
}

void wire_server_start(struct wire_server *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t size = sizeof at;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(s->listener >= 0);
    CHECK(bind(s->listener, (struct sockaddr *) &at, sizeof at) == 0);
    CHECK(listen(s->listener, 8) == 0);
    CHECK(getsockname(s->listener, (struct sockaddr *) &at, &size) == 0);
    snprintf(s->address, sizeof s->address, "127.0.0.1:%u", ntohs(at.sin_port));
    CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
}

void wire_server_stop(struct wire_server *s)
{
    atomic_store(&s->done, true);
    CHECK(pthread_join(s->thread, NULL) == 0);
    close(s->listener);
    buf_done(&s->head);
}
