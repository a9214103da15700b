#include "rpc/io/address.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "rpc/nrpc.h"

static int parse_unix(const char *path, struct address *a)
{
    if (strncmp(path, "///", 3) == 0) /* a URI with an empty authority */
        path += 2;
    size_t size = strlen(path);
    if (size == 0 || size >= sizeof a->sa.un.sun_path)
        return NRPC_E_INVAL;
    a->sa.un.sun_family = AF_UNIX;
    memcpy(a->sa.un.sun_path, path, size + 1);
    a->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + size + 1);
    return 0;
}

/* A name without a file, that ends with its socket (unix(7)). */
static int parse_abstract(const char *name, struct address *a)
{
    size_t size = strlen(name);
    if (size == 0 || size >= sizeof a->sa.un.sun_path)
        return NRPC_E_INVAL;
    a->sa.un.sun_family = AF_UNIX;
    memcpy(a->sa.un.sun_path + 1, name, size);
    a->size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + 1 + size);
    return 0;
}

static int parse_port(const char *text, in_port_t *out_port)
{
    unsigned port = 0;
    size_t n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 6; n++)
        port = port * 10 + (unsigned) (text[n] - '0');
    if (n == 0 || n > 5 || text[n] != '\0' || port > 65535)
        return NRPC_E_INVAL;
    *out_port = htons((uint16_t) port);
    return 0;
}

static int parse_inet(const char *text, struct address *a)
{
    char host[INET6_ADDRSTRLEN];
    bool v6 = text[0] == '[';
    const char *end = v6 ? strchr(text, ']') : strrchr(text, ':');
    if (end == NULL)
        return NRPC_E_INVAL;
    const char *begin = text + v6, *port = end + v6;
    size_t size = (size_t) (end - begin);
    if (*port != ':' || size == 0 || size >= sizeof host)
        return NRPC_E_INVAL;
    memcpy(host, begin, size);
    host[size] = '\0';
    if (v6) {
        a->sa.v6.sin6_family = AF_INET6;
        a->size = sizeof a->sa.v6;
        if (inet_pton(AF_INET6, host, &a->sa.v6.sin6_addr) != 1)
            return NRPC_E_INVAL;
        return parse_port(port + 1, &a->sa.v6.sin6_port);
    }
    a->sa.v4.sin_family = AF_INET;
    a->size = sizeof a->sa.v4;
    const char *numeric = strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
    if (inet_pton(AF_INET, numeric, &a->sa.v4.sin_addr) != 1)
        return NRPC_E_INVAL;
    return parse_port(port + 1, &a->sa.v4.sin_port);
}

int address_parse(const char *text, struct address *out_address)
{
    struct address a;
    memset(&a, 0, sizeof a);
    int r;
    if (strncmp(text, "unix:", 5) == 0)
        r = parse_unix(text + 5, &a);
    else if (strncmp(text, "unix-abstract:", 14) == 0)
        r = parse_abstract(text + 14, &a);
    else
        r = parse_inet(text, &a);
    if (r == 0)
        *out_address = a;
    return r;
}

void address_format(const struct address *a, char out[static ADDRESS_TEXT_MAX])
{
    char host[INET6_ADDRSTRLEN] = "?";
    switch (a->sa.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a->sa.v4.sin_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_MAX, "%s:%u", host, ntohs(a->sa.v4.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &a->sa.v6.sin6_addr, host, sizeof host);
        snprintf(out, ADDRESS_TEXT_MAX, "[%s]:%u", host, ntohs(a->sa.v6.sin6_port));
        break;
    default: {
        size_t at = offsetof(struct sockaddr_un, sun_path);
        size_t size = a->size > at ? a->size - at : 0;
        bool abstract = size > 1 && a->sa.un.sun_path[0] == '\0';
        snprintf(out, ADDRESS_TEXT_MAX, "%s%.*s",
                 abstract ? "unix-abstract:" : "unix:", (int) (size - abstract),
                 a->sa.un.sun_path + abstract);
    }
    }
}
