/* The target's text: a list of names and literal addresses. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/client/inner.h"

enum scheme { SCHEME_NONE, SCHEME_DNS, SCHEME_IPV4, SCHEME_IPV6, SCHEME_UNIX };

static const struct {
    const char *prefix;
    enum scheme scheme;
} schemes[] = {
    /* "dns://server/name" asks a server of its own for the name: the empty one is the system's. */
    { "dns:///", SCHEME_DNS }, { "dns:", SCHEME_DNS },     { "ipv4:", SCHEME_IPV4 },
    { "ipv6:", SCHEME_IPV6 },  { "unix://", SCHEME_UNIX }, { "unix:", SCHEME_UNIX },
};

static int parse_literal(struct target_name *name)
{
    struct address parsed;
    if (address_parse(name->found[0].text, &parsed) < 0)
        return NRPC_E_INVAL;
    name->literal = true;
    name->n_found = 1;
    return 0;
}

static int parse_unix(const char *path, struct target_name *name)
{
    int n = snprintf(name->found[0].text, sizeof name->found[0].text, "unix:%s", path);
    if (n < 0 || (size_t) n >= sizeof name->found[0].text)
        return NRPC_E_INVAL;
    name->is_unix = true;
    return parse_literal(name);
}

static bool is_port(const char *text)
{
    unsigned port = 0;
    size_t n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 6; n++)
        port = port * 10 + (unsigned) (text[n] - '0');
    return n > 0 && n <= 5 && text[n] == '\0' && port > 0 && port <= 65535;
}

/* HOST:PORT that is no number. */
static int parse_host(struct target_name *name)
{
    const char *colon = strchr(name->text, ':');
    if (colon == NULL || colon == name->text || name->text[0] == '/' || !is_port(colon + 1))
        return NRPC_E_INVAL;
    snprintf(name->host, sizeof name->host, "%.*s", (int) (colon - name->text), name->text);
    snprintf(name->port, sizeof name->port, "%s", colon + 1);
    return 0;
}

static int parse_inet(enum scheme scheme, struct target_name *name)
{
    const char *colon = strrchr(name->text, ':');
    if (colon == NULL || !is_port(colon + 1))
        return NRPC_E_INVAL;
    bool local = (size_t) (colon - name->text) == 9 && memcmp(name->text, "localhost", 9) == 0;
    bool v6 = name->text[0] == '[';
    if ((scheme == SCHEME_IPV4 && (v6 || local)) || (scheme == SCHEME_IPV6 && !v6))
        return NRPC_E_INVAL;
    size_t length = strlen(name->text);
    if (!local && length < sizeof name->found[0].text) {
        memcpy(name->found[0].text, name->text, length + 1);
        if (parse_literal(name) == 0)
            return 0;
    }
    return scheme == SCHEME_IPV4 || scheme == SCHEME_IPV6 ? NRPC_E_INVAL : parse_host(name);
}

static int parse_name(const char *text, size_t size, enum scheme *scheme, struct target_name *name)
{
    if (size == 0 || size >= sizeof name->text)
        return NRPC_E_INVAL;
    for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
        size_t n = strlen(schemes[i].prefix);
        if (size < n || memcmp(text, schemes[i].prefix, n) != 0)
            continue;
        *scheme = schemes[i].scheme;
        text += n;
        size -= n;
        break;
    }
    memcpy(name->text, text, size);
    if (*scheme == SCHEME_UNIX)
        return parse_unix(name->text, name);
    return parse_inet(*scheme, name);
}

int target_parse(const char *target, struct target_name **out_names, unsigned *out_n)
{
    unsigned n = 1;
    for (const char *p = target; *p != '\0'; p++)
        n += *p == ',';
    if (n > SUBCHANNELS_MAX)
        return NRPC_E_INVAL;
    struct target_name *names = alloc_zero(n, sizeof *names);
    if (names == NULL)
        return NRPC_E_NOMEM;
    enum scheme scheme = SCHEME_NONE;
    for (unsigned i = 0; i < n; i++) {
        size_t size = strcspn(target, ",");
        if (scheme == SCHEME_UNIX)
            scheme = SCHEME_NONE; /* a path says so each time */
        int r = parse_name(target, size, &scheme, &names[i]);
        if (r < 0) {
            alloc_free(names);
            return r;
        }
        target += size + 1;
    }
    *out_names = names;
    *out_n = n;
    return 0;
}
