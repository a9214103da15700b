#include "gateway/route.h"

#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"
#include "rpc/nrpc.h"

struct leaf {
    struct leaf *next;
    struct template_slice verb;
    const struct route **routes; /* one per HTTP method */
    size_t n_routes;
};
struct node {
    struct node *sibling, *children; /* literals */
    struct node *one, *rest;
    struct template_slice literal; /* decoded */
    struct leaf *leaves;
};
struct router {
    struct arena arena;
    struct node root;
    const char *prefix;
    size_t prefix_size;
    struct route **routes;
    size_t n_routes, capacity;
};

struct compiler {
    struct router *router;
    const struct desc_method *method;
    char *error; /* 256 bytes */
};

static int fail(struct compiler *c, const char *what, const char *text)
{
    snprintf(c->error, 256, "%s: %s%s%s", c->method->path, what, *text == '\0' ? "" : ": ", text);
    return NRPC_E_INVAL;
}

static int no_memory(char *error)
{
    snprintf(error, 256, "out of memory");
    return NRPC_E_NOMEM;
}

static bool same(struct template_slice a, const char *text, size_t size)
{
    return a.size == size && (size == 0 || memcmp(a.text, text, size) == 0);
}

/* ---- compiling ------------------------------------------------------------------------- */

static int resolve_path(struct compiler *c, struct template_slice text, struct route_variable *v)
{
    const struct desc_message *m = c->method->input;
    while (true) {
        const char *dot = memchr(text.text, '.', text.size);
        size_t n = dot == NULL ? text.size : (size_t) (dot - text.text);
        const struct desc_field *f =
            m == NULL || m->wkt != DESC_PLAIN ? NULL : desc_field_by_name(m, text.text, n);
        if (f == NULL || f->repeated || f->group || v->n_path == ROUTE_FIELD_DEPTH)
            return fail(c, "a path variable names no singular field of the request", text.text);
        v->path[v->n_path++] = f;
        m = f->message;
        if (dot == NULL)
            return m != NULL &&
                           (m->wkt == DESC_PLAIN || m->wkt == DESC_ANY || m->wkt == DESC_STRUCT ||
                            m->wkt == DESC_VALUE || m->wkt == DESC_LIST_VALUE)
                       ? fail(c, "a path variable names a message", f->name)
                       : 0;
        text.text += n + 1;
        text.size -= n + 1;
    }
}

static int bind_fields(struct compiler *c, struct route *r, const struct template *t,
                       const Google__Api__HttpRule *rule)
{
    r->variables = arena_zero(&c->router->arena, t->n_variables, sizeof *r->variables);
    if (r->variables == NULL)
        return no_memory(c->error);
    r->n_variables = t->n_variables;
    for (size_t i = 0; i < t->n_variables; i++) {
        struct route_variable *v = &r->variables[i];
        v->first = t->variables[i].first;
        v->count = t->variables[i].count;
        v->open_ended = t->segments[v->first + v->count - 1].kind == TEMPLATE_REST;
        v->several = v->count > 1 || v->open_ended;
        int e = resolve_path(c, t->variables[i].field, v);
        if (e < 0)
            return e;
    }
    r->body_all = strcmp(rule->body, "*") == 0;
    if (*rule->body != '\0' && !r->body_all) {
        r->body = desc_field_by_name(c->method->input, rule->body, strlen(rule->body));
        if (r->body == NULL)
            return fail(c, "body names no field of the request", rule->body);
        if (r->body->group)
            return fail(c, "a group cannot be the body", rule->body);
    }
    if (*rule->response_body != '\0') {
        r->response_body =
            desc_field_by_name(c->method->output, rule->response_body, strlen(rule->response_body));
        if (r->response_body == NULL)
            return fail(c, "response_body names no field of the response", rule->response_body);
    }
    return 0;
}

static struct node *child(struct compiler *c, struct node *parent, const struct template_segment *s)
{
    struct arena *a = &c->router->arena;
    if (s->kind != TEMPLATE_LITERAL) {
        struct node **slot = s->kind == TEMPLATE_ONE ? &parent->one : &parent->rest;
        if (*slot == NULL)
            *slot = arena_zero(a, 1, sizeof **slot);
        return *slot;
    }
    struct buf decoded = { 0 };
    struct node *found = NULL;
    if (path_decode(s->literal.text, s->literal.size, false, &decoded)) {
        for (found = parent->children; found != NULL; found = found->sibling)
            if (same(found->literal, (const char *) decoded.data, decoded.size))
                break;
        if (found == NULL && (found = arena_zero(a, 1, sizeof *found)) != NULL) {
            found->literal =
                (struct template_slice){ arena_copy(a, decoded.data, decoded.size), decoded.size };
            if (found->literal.text == NULL)
                found = NULL;
            else {
                found->sibling = parent->children;
                parent->children = found;
            }
        }
    }
    buf_done(&decoded);
    return found;
}

static int add_leaf(struct compiler *c, struct node *n, struct template_slice verb,
                    const struct route *r)
{
    struct leaf *l = n->leaves;
    while (l != NULL && !same(l->verb, verb.text, verb.size))
        l = l->next;
    if (l == NULL) {
        l = arena_zero(&c->router->arena, 1, sizeof *l);
        if (l == NULL)
            return no_memory(c->error);
        l->verb = verb;
        l->next = n->leaves;
        n->leaves = l;
    }
    for (size_t i = 0; i < l->n_routes; i++)
        if (strcmp(l->routes[i]->http_method, r->http_method) == 0) {
            snprintf(c->error, 256, "%s and %s both claim %s %s", l->routes[i]->method->path,
                     r->method->path, r->http_method, r->template_text);
            return NRPC_E_INVAL;
        }
    if (l->n_routes == ARRAY_SIZE(((struct route_match *) 0)->allowed))
        return fail(c, "too many HTTP methods on one path", r->template_text);
    const struct route **routes = arena_zero(&c->router->arena, l->n_routes + 1, sizeof *routes);
    if (routes == NULL)
        return no_memory(c->error);
    if (l->n_routes > 0)
        memcpy(routes, l->routes, l->n_routes * sizeof *routes);
    routes[l->n_routes++] = r;
    l->routes = routes;
    return 0;
}

static int keep_route(struct router *router, struct route *r)
{
    if (router->n_routes == router->capacity) {
        size_t capacity = router->capacity == 0 ? 32 : 2 * router->capacity;
        struct route **routes = alloc_resize(router->routes, capacity * sizeof *routes);
        if (routes == NULL)
            return NRPC_E_NOMEM;
        router->routes = routes;
        router->capacity = capacity;
    }
    router->routes[router->n_routes++] = r;
    return 0;
}

static bool pattern_of(const Google__Api__HttpRule *rule, const char **out_method,
                       const char **out_template)
{
    switch (rule->pattern_case) {
    case GOOGLE__API__HTTP_RULE__PATTERN_GET:
        *out_method = "GET";
        *out_template = rule->get;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_PUT:
        *out_method = "PUT";
        *out_template = rule->put;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_POST:
        *out_method = "POST";
        *out_template = rule->post;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_DELETE:
        *out_method = "DELETE";
        *out_template = rule->delete_;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_PATCH:
        *out_method = "PATCH";
        *out_template = rule->patch;
        return true;
    case GOOGLE__API__HTTP_RULE__PATTERN_CUSTOM:
        *out_method = rule->custom->kind;
        *out_template = rule->custom->path;
        return *rule->custom->kind != '\0';
    default:
        return false;
    }
}

static bool same_variable(const struct route_variable *a, const struct route_variable *b)
{
    return a->n_path == b->n_path && memcmp(a->path, b->path, a->n_path * sizeof a->path[0]) == 0;
}

/* What could only fail at each request is refused at start. */
static int check_variables(struct compiler *c, const struct route *r)
{
    for (size_t i = 0; i < r->n_variables; i++) {
        const struct route_variable *v = &r->variables[i];
        if (r->body != NULL && v->n_path == 1 && v->path[0] == r->body)
            return fail(c, "a path variable is the body of the same rule", r->template_text);
        for (size_t k = 0; k < i; k++)
            if (same_variable(v, &r->variables[k]))
                return fail(c, "a path variable stands twice", r->template_text);
    }
    return 0;
}

static int insert(struct compiler *c, struct route *r, const struct template *t)
{
    struct node *n = &c->router->root;
    for (size_t i = 0; i < t->n_segments; i++)
        if ((n = child(c, n, &t->segments[i])) == NULL)
            return fail(c, "a literal does not decode, or out of memory", r->template_text);
    int e = add_leaf(c, n, t->verb, r);
    return e < 0 ? e : keep_route(c->router, r) < 0 ? no_memory(c->error) : 0;
}

static int compile_rule(struct compiler *c, const Google__Api__HttpRule *rule)
{
    struct template t;
    const char *reason;
    struct route *r = arena_zero(&c->router->arena, 1, sizeof *r);
    if (r == NULL)
        return no_memory(c->error);
    r->method = c->method;
    if (!pattern_of(rule, &r->http_method, &r->template_text))
        return fail(c, "the http rule has no pattern", "");
    if (template_parse(r->template_text, &t, &reason) < 0)
        return fail(c, reason, r->template_text);
    int e = bind_fields(c, r, &t, rule);
    if (e == 0)
        e = check_variables(c, r);
    return e < 0 ? e : insert(c, r, &t);
}

/* What a server says to operators and caches is not for those outside; a declared rule can open it
 * all the same. */
static bool is_internal(const struct desc_method *m)
{
    static const char *const packages[] = { "/grpc.reflection.", "/grpc.channelz.",
                                            "/nrpc.cache." };
    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++)
        if (strncmp(m->path, packages[i], strlen(packages[i])) == 0)
            return true;
    return false;
}

/* POST /package.Service/Method, unless a rule of the method says the same. */
static int compile_implicit(struct compiler *c)
{
    struct template t;
    const char *reason;
    struct route_match m;
    struct route *r = arena_zero(&c->router->arena, 1, sizeof *r);
    if (r == NULL)
        return no_memory(c->error);
    *r = (struct route){ .method = c->method,
                         .http_method = "POST",
                         .template_text = c->method->path,
                         .body_all = true,
                         .implicit = true };
    if (template_parse(r->template_text, &t, &reason) < 0)
        return fail(c, reason, r->template_text);
    m.route = NULL;
    if (route_match(c->router, "POST", r->template_text, strlen(r->template_text), &m) ==
            ROUTE_FOUND &&
        m.route->method == c->method && strcmp(m.route->template_text, r->template_text) == 0)
        return 0;
    return insert(c, r, &t);
}

static int compile_method(struct compiler *c)
{
    const Google__Api__HttpRule *rule = c->method->http;
    if (rule == NULL)
        return 0;
    int e = compile_rule(c, rule);
    for (size_t i = 0; i < rule->n_additional_bindings && e == 0; i++) {
        if (rule->additional_bindings[i]->n_additional_bindings > 0)
            return fail(c, "additional_bindings must not be nested", "");
        e = compile_rule(c, rule->additional_bindings[i]);
    }
    return e;
}

int router_new(const struct desc_pool *pool, const char *prefix, struct router **out_router,
               char error[static 256])
{
    struct router *r = alloc_zero(1, sizeof *r);
    if (r == NULL)
        return no_memory(error);
    arena_init(&r->arena, 8192);
    r->prefix_size = strlen(prefix);
    while (r->prefix_size > 0 && prefix[r->prefix_size - 1] == '/')
        r->prefix_size--;
    r->prefix = arena_strndup(&r->arena, prefix, r->prefix_size);
    int e = r->prefix == NULL ? no_memory(error) : 0;
    if (e == 0 && r->prefix_size > 0 && prefix[0] != '/') {
        snprintf(error, 256, "the prefix must begin with /");
        e = NRPC_E_INVAL;
    }
    for (size_t i = 0; i < pool->n_methods && e == 0; i++)
        e = compile_method(&(struct compiler){ r, &pool->methods[i], error });
    for (size_t i = 0; i < pool->n_methods && e == 0; i++)
        e = is_internal(&pool->methods[i])
                ? 0
                : compile_implicit(&(struct compiler){ r, &pool->methods[i], error });
    if (e < 0) {
        router_free(r);
        return e;
    }
    *out_router = r;
    return 0;
}

void router_free(struct router *r)
{
    if (r == NULL)
        return;
    arena_done(&r->arena);
    alloc_free(r->routes);
    alloc_free(r);
}

size_t router_count(const struct router *r)
{
    return r->n_routes;
}

const struct route *router_at(const struct router *r, size_t i)
{
    return r->routes[i];
}

/* ---- matching -------------------------------------------------------------------------- */

struct search {
    struct route_match *match;
    const char *method;
    struct template_slice verb;
};

static bool split_segments(struct route_match *m, size_t size)
{
    if (size == 0 || m->path[0] != '/' || size > UINT16_MAX)
        return false;
    m->n_segments = 0;
    if (size == 1)
        return true;
    for (size_t at = 1; at <= size;) {
        const char *slash = memchr(m->path + at, '/', size - at);
        size_t end = slash == NULL ? size : (size_t) (slash - m->path);
        if (m->n_segments == ROUTE_PATH_SEGMENTS_MAX)
            return false;
        m->starts[m->n_segments] = (uint16_t) at;
        m->ends[m->n_segments++] = (uint16_t) end;
        at = end + 1;
    }
    return true;
}

static bool literal_matches(const struct node *n, const char *text, size_t size)
{
    if (memchr(text, '%', size) == NULL)
        return same(n->literal, text, size);
    if (size > 3 * n->literal.size)
        return false;
    struct buf decoded = { 0 };
    bool matches = path_decode(text, size, false, &decoded) &&
                   same(n->literal, (const char *) decoded.data, decoded.size);
    buf_done(&decoded);
    return matches;
}

static void note_allowed(struct route_match *m, const struct route *r)
{
    for (size_t i = 0; i < m->n_allowed; i++)
        if (strcmp(m->allowed[i]->http_method, r->http_method) == 0)
            return;
    if (m->n_allowed < ARRAY_SIZE(m->allowed))
        m->allowed[m->n_allowed++] = r;
}

/* A rule for the method itself comes before one for any method. */
static bool try_leaf(struct search *s, const struct node *n)
{
    const struct leaf *l = n->leaves;
    const struct route *any = NULL;
    while (l != NULL && !same(l->verb, s->verb.text, s->verb.size))
        l = l->next;
    for (size_t i = 0; l != NULL && i < l->n_routes; i++) {
        const char *method = l->routes[i]->http_method;
        if (strcmp(method, s->method) == 0) {
            s->match->route = l->routes[i];
            return true;
        }
        if (strcmp(method, "*") == 0)
            any = l->routes[i];
        else
            note_allowed(s->match, l->routes[i]);
    }
    s->match->route = any;
    return any != NULL;
}

/* Recursion goes as deep as the templates do, not the path.  Each node has one depth, so each is
 * seen once. */
static bool walk(struct search *s, const struct node *n, size_t at)
{
    const struct route_match *m = s->match;
    if (at == m->n_segments) {
        if (try_leaf(s, n))
            return true;
    } else {
        const char *text = m->path + m->starts[at];
        size_t size = (size_t) (m->ends[at] - m->starts[at]);
        for (const struct node *c = n->children; c != NULL; c = c->sibling)
            if (literal_matches(c, text, size) && walk(s, c, at + 1))
                return true;
        if (n->one != NULL && size > 0 && walk(s, n->one, at + 1))
            return true;
    }
    return n->rest != NULL && try_leaf(s, n->rest);
}

static enum route_result match_at(const struct router *r, const char *method, const char *path,
                                  size_t size, struct route_match *m)
{
    struct search s = { m, strcmp(method, "HEAD") == 0 ? "GET" : method, { "", 0 } };
    m->path = path;
    m->route = NULL;
    m->n_allowed = 0;
    if (!split_segments(m, size))
        return ROUTE_NOT_FOUND;
    if (m->n_segments > 0) {
        size_t last = m->n_segments - 1;
        uint16_t end = m->ends[last];
        const char *text = path + m->starts[last],
                   *colon = memrchr(text, ':', end - m->starts[last]);
        if (colon != NULL) {
            s.verb = (struct template_slice){ colon + 1, (size_t) (path + end - colon - 1) };
            m->ends[last] = (uint16_t) (colon - path);
            if (s.verb.size > 0 && walk(&s, &r->root, 0))
                return ROUTE_FOUND;
            if (m->n_allowed > 0) /* the verb exists here: "abc:cancel" is not an id */
                return ROUTE_WRONG_METHOD;
            m->ends[last] = end;
            s.verb = (struct template_slice){ "", 0 };
        }
    }
    if (walk(&s, &r->root, 0))
        return ROUTE_FOUND;
    return m->n_allowed > 0 ? ROUTE_WRONG_METHOD : ROUTE_NOT_FOUND;
}

enum route_result route_match(const struct router *r, const char *http_method, const char *path,
                              size_t size, struct route_match *out)
{
    enum route_result result = match_at(r, http_method, path, size, out);
    size_t prefix = r->prefix_size;
    if (result != ROUTE_NOT_FOUND || prefix == 0 || size < prefix ||
        memcmp(path, r->prefix, prefix) != 0)
        return result;
    if (size == prefix)
        return match_at(r, http_method, "/", 1, out);
    return path[prefix] == '/' ? match_at(r, http_method, path + prefix, size - prefix, out)
                               : result;
}

bool route_value(const struct route_match *m, size_t i, struct buf *out)
{
    const struct route_variable *v = &m->route->variables[i];
    size_t last = v->open_ended ? m->n_segments : (size_t) v->first + v->count;
    if (v->first >= m->n_segments || last == v->first)
        return true; /* ** of nothing */
    size_t start = m->starts[v->first], end = m->ends[last - 1];
    return path_decode(m->path + start, end - start, v->several, out);
}
