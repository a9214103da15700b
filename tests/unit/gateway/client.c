#include "tests/unit/gateway/client.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/unit/gateway/support.h"

uint16_t client_port;

int client_dial(void)
{
    struct sockaddr_in a = { .sin_family = AF_INET,
                             .sin_port = htons(client_port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct timeval t = { .tv_sec = 30 };
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t), 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &a, sizeof a), 0);
    return fd;
}

void client_send(int fd, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const char *) data + at, size - at, 0);
        if (n <= 0)
            return; /* the gateway may answer and close before it has read all */
        at += (size_t) n;
    }
}

/* Reads until `text` stands in out, or the end. */
bool client_read_until(int fd, struct buf *out, const char *text)
{
    char chunk[4096];
    while (text == NULL || strstr(buf_str(out), text) == NULL) {
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0)
            return false;
        buf_put(out, chunk, (size_t) n);
    }
    return true;
}

/* One request on a connection of its own, closed by the gateway; step bytes at a time. */
void client_ask_in_steps(const char *request, size_t size, size_t step, struct buf *out)
{
    int fd = client_dial();
    for (size_t at = 0; at < size; at += step)
        client_send(fd, request + at, size - at < step ? size - at : step);
    client_read_until(fd, out, NULL);
    close(fd);
}

void client_ask(const char *method, const char *path, const char *headers, const char *body,
                struct buf *out)
{
    struct buf request = { 0 };
    buf_printf(&request, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s", method, path,
               headers);
    if (body != NULL)
        buf_printf(&request, "Content-Length: %zu\r\n", strlen(body));
    buf_printf(&request, "\r\n%s", body == NULL ? "" : body);
    buf_reset(out);
    client_ask_in_steps((const char *) request.data, request.size, request.size, out);
    buf_done(&request);
}
