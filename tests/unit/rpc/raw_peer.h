/* raw_peer.h — a peer that writes HTTP/2 frames by hand on a blocking loopback socket, for tests.
 * Everything fails the test after 20 s of waiting. */
#ifndef RAW_PEER_H
#define RAW_PEER_H
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpc/base/clock.h"
#include "rpc/base/list.h"

enum {
    F_DATA,
    F_HEADERS,
    F_PRIORITY,
    F_RST,
    F_SETTINGS,
    F_PUSH,
    F_PING,
    F_GOAWAY,
    F_WINDOW,
    F_CONT
};
struct raw_frame {
    uint8_t type, flags;
    uint32_t stream, size;
    uint8_t data[16384];
};

/* address: "127.0.0.1:PORT" */
static inline int raw_connect(const char *address)
{
    struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    in.sin_port = htons((uint16_t) strtoul(strrchr(address, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *) &in, sizeof in), 0);
    int one = 1;
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one), 0);
    return fd;
}

/* False when the peer has closed. */
static inline bool raw_send(int fd, const void *data, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = send(fd, (const uint8_t *) data + at, size - at, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        at += (size_t) n;
    }
    return true;
}

static inline bool raw_frame_send(int fd, uint8_t type, uint8_t flags, uint32_t stream,
                                  const void *data, uint32_t size)
{
    uint8_t head[9] = { (uint8_t) (size >> 16), (uint8_t) (size >> 8), (uint8_t) size, type,
                        flags };
    uint32_t id = htonl(stream);
    memcpy(head + 5, &id, 4);
    return raw_send(fd, head, 9) && (size == 0 || raw_send(fd, data, size));
}

static inline bool raw_hello(int fd)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    return raw_send(fd, preface, 24) && raw_frame_send(fd, F_SETTINGS, 0, 0, NULL, 0) &&
           raw_frame_send(fd, F_SETTINGS, 1, 0, NULL, 0);
}

static inline bool raw_read(int fd, void *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        struct pollfd w = { fd, POLLIN, 0 };
        assert_int_equal(poll(&w, 1, 20000), 1);
        ssize_t n = recv(fd, (uint8_t *) out + at, size - at, 0);
        if (n <= 0)
            return false;
        at += (size_t) n;
    }
    return true;
}

/* The next frame; false once the peer has closed. */
static inline bool raw_frame_read(int fd, struct raw_frame *f)
{
    uint8_t head[9];
    if (!raw_read(fd, head, 9))
        return false;
    f->size = (uint32_t) head[0] << 16 | (uint32_t) head[1] << 8 | head[2];
    f->type = head[3];
    f->flags = head[4];
    memcpy(&f->stream, head + 5, 4);
    f->stream = ntohl(f->stream) & 0x7fffffff;
    assert_true(f->size <= sizeof f->data);
    return raw_read(fd, f->data, f->size);
}

/* Skips frames up to one of the type; false when the peer closed before. */
static inline bool raw_frame_until(int fd, uint8_t type, struct raw_frame *f)
{
    do {
        if (!raw_frame_read(fd, f))
            return false;
    } while (f->type != type);
    return true;
}

static inline uint32_t raw_u32(const uint8_t *p)
{
    return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/* A gRPC request's header block: literals without indexing. */
static inline uint32_t raw_request(uint8_t *out, const char *path)
{
    const char *const fields[][2] = {
        { ":method", "POST" },    { ":scheme", "http" }, { ":path", path },
        { ":authority", "test" }, { "te", "trailers" },  { "content-type", "application/grpc" },
    };
    uint32_t n = 0;
    for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
        out[n++] = 0;
        for (int j = 0; j < 2; j++) {
            size_t size = strlen(fields[i][j]);
            assert_true(size < 127);
            out[n++] = (uint8_t) size;
            memcpy(out + n, fields[i][j], size);
            n += (uint32_t) size;
        }
    }
    return n;
}

#endif
