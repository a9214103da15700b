/* Templates, routes and the binding of paths and queries, on the contract and on a foreign service.
 */
#include "tests/unit/gateway/support.h"

#include "gateway/bind.h"
#include "gateway/route.h"
#include "gateway/rules_file.h"
#include "gateway/to_json.h"
#include "gateway/to_wire.h"
#include "novel_engine_descriptors.h"
#include "rpc/nrpc.h"

static struct desc_pool *contract, *foreign;
static struct router *contract_router, *foreign_router;

static struct desc_pool *load(const char *path)
{
    struct buf b = { 0 };
    struct desc_pool *p = NULL;
    char error[256] = "";
    read_file(path, &b);
    if (desc_pool_new(b.data, b.size, &p, error) < 0)
        fail_msg("%s", error);
    buf_done(&b);
    return p;
}

static int set_up(void **state)
{
    (void) state;
    char error[256] = "";
    foreign = load(FOREIGN_FDS);
    if (desc_pool_new(novel_engine_descriptors, novel_engine_descriptors_size, &contract, error) <
            0 ||
        router_new(contract, "/api/", &contract_router, error) < 0 ||
        router_new(foreign, "", &foreign_router, error) < 0)
        fail_msg("%s", error);
    return 0;
}

static int tear_down(void **state)
{
    (void) state;
    router_free(contract_router);
    router_free(foreign_router);
    desc_pool_free(contract);
    desc_pool_free(foreign);
    return 0;
}

static void parses_templates(void **state)
{
    (void) state;
    static const struct {
        const char *text;
        int result;
        size_t segments, variables, verb;
    } cases[] = {
        { "/", 0, 0, 0, 0 },          { "/a", 0, 1, 0, 0 },
        { "/a/*/b", 0, 3, 0, 0 },     { "/a/**", 0, 2, 0, 0 },
        { "/a/**:verb", 0, 2, 0, 4 }, { "/{x}", 0, 1, 1, 0 },
        { "/{x.y.z}/b", 0, 2, 1, 0 }, { "/v1/{name=shelves/*/books/*}:go", 0, 5, 1, 2 },
        { "/{a=**}", 0, 1, 1, 0 },    { "/a:b", 0, 1, 0, 1 },
        { "/%41", 0, 1, 0, 0 },       { "", -1, 0, 0, 0 },
        { "a", -1, 0, 0, 0 },         { "/a/", -1, 0, 0, 0 },
        { "//a", -1, 0, 0, 0 },       { "/{x", -1, 0, 0, 0 },
        { "/{}", -1, 0, 0, 0 },       { "/{x.}", -1, 0, 0, 0 },
        { "/{.x}", -1, 0, 0, 0 },     { "/{x..y}", -1, 0, 0, 0 },
        { "/{a={b}}", -1, 0, 0, 0 },  { "/{a=}", -1, 0, 0, 0 },
        { "/**/a", -1, 0, 0, 0 },     { "/{a=**}/b", -1, 0, 0, 0 },
        { "/a:", -1, 0, 0, 0 },       { "/a b", -1, 0, 0, 0 },
        { "/a{b}", -1, 0, 0, 0 },     { "/{b}a", -1, 0, 0, 0 },
        { "/a?b", -1, 0, 0, 0 },      { "/***", -1, 0, 0, 0 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct template t = { .n_segments = 99 };
        const char *error = NULL;
        int r = template_parse(cases[i].text, &t, &error);
        if (r != cases[i].result)
            print_message("%s\n", cases[i].text);
        assert_int_equal(r, cases[i].result);
        if (r < 0) {
            assert_non_null(error);
            assert_int_equal(t.n_segments, 99);
            continue;
        }
        assert_int_equal(t.n_segments, cases[i].segments);
        assert_int_equal(t.n_variables, cases[i].variables);
        assert_int_equal(t.verb.size, cases[i].verb);
    }
}

static void decodes_percent(void **state)
{
    (void) state;
    static const struct {
        const char *in;
        bool keep_slash;
        const char *out; /* NULL: refused */
    } cases[] = {
        { "", false, "" },
        { "a%20b", false, "a b" },
        { "a%2Fb", false, "a/b" },
        { "a%2fb%3a", true, "a%2fb:" },
        { "%e2%82%AC", false, "\xe2\x82\xac" },
        { "a+b", false, "a+b" },
        { "%", false, NULL },
        { "%4", false, NULL },
        { "%zz", false, NULL },
        { "a%00", false, NULL },
        { "%ff", false, NULL },
        { "%c0%80", true, NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        struct guarded g = guarded_copy(cases[i].in, strlen(cases[i].in));
        bool ok = path_decode((const char *) g.data, strlen(cases[i].in), cases[i].keep_slash, &b);
        guarded_free(g);
        assert_int_equal(ok, cases[i].out != NULL);
        if (ok)
            assert_string_equal(buf_str(&b), cases[i].out);
        else
            assert_int_equal(b.size, 0);
        buf_done(&b);
    }
}

/* "Method a=b c=d", "404", or "405 GET POST". */
static void describe(const struct router *r, const char *method, const char *path, struct buf *out)
{
    struct route_match m;
    struct guarded g = guarded_copy(path, strlen(path));
    enum route_result result = route_match(r, method, (const char *) g.data, strlen(path), &m);
    if (result == ROUTE_NOT_FOUND)
        buf_puts(out, "404");
    if (result == ROUTE_WRONG_METHOD) {
        buf_puts(out, "405");
        for (size_t i = 0; i < m.n_allowed; i++)
            buf_printf(out, " %s", m.allowed[i]->http_method);
    }
    if (result == ROUTE_FOUND) {
        buf_puts(out, m.route->method->name);
        for (size_t i = 0; i < m.route->n_variables; i++) {
            const struct route_variable *v = &m.route->variables[i];
            buf_printf(out, " %s=", v->path[v->n_path - 1]->name);
            if (!route_value(&m, i, out))
                buf_puts(out, "(broken)");
        }
    }
    guarded_free(g);
}

static void finds_routes(void **state)
{
    (void) state;
    static const struct {
        int of_contract;
        const char *method, *path, *found;
    } cases[] = {
        { 1, "GET", "/", "GetServiceInfo" },
        { 1, "PUT", "/", "405 GET" },
        { 1, "HEAD", "/health", "GetHealth" },
        { 1, "GET", "/api/health", "GetHealth" },
        { 1, "GET", "/api", "GetServiceInfo" },
        { 1, "GET", "/api/", "GetServiceInfo" },
        { 1, "GET", "/apihealth", "404" },
        { 1, "GET", "/api/api/health", "404" },
        { 1, "GET", "/health/", "404" },
        { 1, "GET", "//health", "404" },
        { 1, "GET", "/Health", "404" },
        { 1, "GET", "/h%65alth", "GetHealth" },
        { 1, "POST", "/health", "405 GET" },
        { 1, "GET", "/characters", "ListCharacters" },
        { 1, "DELETE", "/characters", "405 GET POST" },
        { 1, "GET", "/characters/engineer", "GetCharacter character_id=engineer" },
        { 1, "GET", "/characters/", "404" },
        { 1, "GET", "/characters/a:b", "GetCharacter character_id=a:b" },
        { 1, "GET", "/characters/..%2F..%2Fetc", "GetCharacter character_id=../../etc" },
        { 1, "GET", "/characters/%00", "GetCharacter character_id=(broken)" },
        { 1, "GET", "/characters/../../etc/passwd", "404" },
        { 1, "PATCH", "/characters/pilot", "UpdateCharacter character_id=pilot" },
        { 1, "POST", "/simulations", "RunSimulation" },
        { 1, "POST", "/simulate", "RunSimulation" },
        { 1, "POST", "/api/simulate", "RunSimulation" },
        { 1, "POST", "/simulations:stream", "StreamSimulation" },
        { 1, "GET", "/simulations:stream", "405 POST" },
        { 1, "POST", "/simulations:nothing", "404" },
        { 1, "GET", "/simulations/s1", "GetSimulation simulation_id=s1" },
        { 1, "POST", "/simulations/s1:cancel", "CancelSimulation simulation_id=s1" },
        { 1, "GET", "/simulations/s1:cancel", "405 POST" },
        { 1, "GET", "/simulations/s1:export", "ExportSimulation simulation_id=s1" },
        { 1, "GET", "/simulations/s1%3Aexport", "GetSimulation simulation_id=s1:export" },
        { 1, "GET", "/simulations/s1/events", "WatchSimulation simulation_id=s1" },
        { 1, "GET", "/simulations/s1/events/12:explain",
          "ExplainEvent simulation_id=s1 sequence=12" },
        { 1, "GET", "/simulations/s1/events/12", "404" },
        { 1, "GET", "", "404" },
        { 1, "GET", "health", "404" },
        { 1, "OPTIONS", "*", "404" },
        { 0, "GET", "/v1/shelves/1/books/2", "GetBook name=shelves/1/books/2" },
        { 0, "GET", "/v1/shelves/a%2Fb/books/%41", "GetBook name=shelves/a%2Fb/books/A" },
        { 0, "GET", "/v1/files", "GetAny name=" },
        { 0, "GET", "/v1/files/a/b%2Fc/d", "GetAny name=a/b%2Fc/d" },
        { 0, "GET", "/v1/files/a/", "GetAny name=a/" },
        { 0, "GET", "/v1/shelves/special", "GetSpecialShelf" },
        { 0, "PURGE", "/v1/shelves/special", "Purge name=special" },
        { 0, "GET", "/v1/shelves/x", "GetShelf name=x" },
        { 0, "PURGE", "/v1/shelves/x", "Purge name=x" },
        { 0, "POST", "/v1/shelves/x", "405 GET PURGE" },
        { 0, "POST", "/v1/shelves/a%2Fb:lock", "Lock name=a/b" },
        { 0, "POST", "/v1/shelves/a:b:lock", "Lock name=a:b" },
        { 0, "GET", "/v1/racks/1/t", "GetShelf name=1 text=t" },
        { 0, "PATCH", "/v1/patch/x", "PatchInner f_string=x" },
        { 0, "GET", "/v1/racks/1", "404" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        describe(cases[i].of_contract ? contract_router : foreign_router, cases[i].method,
                 cases[i].path, &b);
        if (strcmp(buf_str(&b), cases[i].found) != 0)
            print_message("%s %s\n", cases[i].method, cases[i].path);
        assert_string_equal(buf_str(&b), cases[i].found);
        buf_done(&b);
    }
    char deep[1000] = "";
    for (int i = 0; i < 200; i++)
        strcat(deep, "/a");
    struct route_match m;
    assert_int_equal(route_match(foreign_router, "GET", deep, strlen(deep), &m), ROUTE_NOT_FOUND);
}

static void refuses_clashes_and_broken_sets(void **state)
{
    (void) state;
    struct desc_pool *p = load(CLASH_FDS);
    struct router *r = (struct router *) &p;
    char error[256] = "";
    assert_true(router_new(p, "", &r, error) < 0);
    assert_ptr_equal(r, &p);
    assert_non_null(strstr(error, "/clash.v1.Clash/One"));
    assert_non_null(strstr(error, "/clash.v1.Clash/Two"));
    assert_true(router_new(p, "api", &r, error) < 0);
    desc_pool_free(p);
    struct desc_pool *broken = (struct desc_pool *) &broken;
    assert_true(desc_pool_new("\xff\xff", 2, &broken, error) < 0);
    assert_ptr_equal(broken, &broken);
    /* A set cut anywhere is refused or read, never a crash. */
    struct buf whole = { 0 };
    read_file(FOREIGN_FDS, &whole);
    for (size_t n = 0; n < whole.size; n += 97) {
        struct guarded g = guarded_copy(whole.data, n);
        if (desc_pool_new(g.data, n, &p, error) == 0)
            desc_pool_free(p);
        guarded_free(g);
    }
    buf_done(&whole);
}

/* Rules that could only fail at each request are refused at start, with what is wrong with them. */
static void refuses_rules_that_cannot_work(void **state)
{
    (void) state;
    static const struct {
        const char *method, *template, *body, *response_body, *error;
    } cases[] = {
        { "GetBook", "/a/{name}/{name}", "", "", "a path variable stands twice: /a/{name}/{name}" },
        { "PatchInner", "/a/{everything.f_string}/{everything.fString}", "", "", "stands twice" },
        { "PatchInner", "/a/{update_mask}", "update_mask", "", "is the body of the same rule" },
        { "PatchInner", "/a/{nothing}", "", "", "names no singular field" },
        { "PatchInner", "/a/{everything.r_string}", "", "", "names no singular field" },
        { "PatchInner", "/a/{everything}", "", "", "names a message: everything" },
        { "PatchInner", "/a", "nothing", "", "body names no field" },
        { "PatchInner", "/a", "", "nothing", "response_body names no field" },
        { "PatchInner", "a", "", "", "a template must begin with /" },
        { "PatchInner", "/a/**/b", "", "", "** must be the last segment" },
        { "PatchInner", "/a/{everything.f_string=b/{c}}", "", "", "a variable holds a variable" },
        { "PatchInner", "/v1/query", "", "", "both claim GET" },
        { "PatchInner", "/a:", "", "", "the verb is empty" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct desc_pool *p = load(FOREIGN_FDS);
        struct router *r = NULL;
        char error[256] = "", path[64];
        snprintf(path, sizeof path, "/foreign.v1.Shelf/%s", cases[i].method);
        struct desc_method *method = (struct desc_method *) desc_find_method(p, path);
        Google__Api__HttpRule rule = GOOGLE__API__HTTP_RULE__INIT;
        rule.pattern_case = GOOGLE__API__HTTP_RULE__PATTERN_GET;
        rule.get = (char *) cases[i].template;
        rule.body = (char *) cases[i].body;
        rule.response_body = (char *) cases[i].response_body;
        method->http = &rule;
        assert_true(router_new(p, "", &r, error) < 0);
        if (strstr(error, cases[i].error) == NULL)
            fail_msg("%s: \"%s\" expected, found \"%s\"", cases[i].template, cases[i].error, error);
        assert_non_null(strstr(error, path));
        desc_pool_free(p);
    }
}

/* What no rule declares is at POST /package.Service/Method; what a rule declares is there too. */
static void every_method_has_its_own_path(void **state)
{
    (void) state;
    struct route_match m;
    static const char *const paths[] = { "/foreign.v1.Shelf/Nothing", "/foreign.v1.Shelf/GetBook",
                                         "/foreign.v1.Shelf/Tail" };
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_int_equal(route_match(foreign_router, "POST", paths[i], strlen(paths[i]), &m),
                         ROUTE_FOUND);
        assert_string_equal(m.route->method->path, paths[i]);
        assert_true(m.route->implicit && m.route->body_all && m.route->n_variables == 0);
        assert_int_equal(route_match(foreign_router, "GET", paths[i], strlen(paths[i]), &m),
                         ROUTE_WRONG_METHOD);
        assert_string_equal(m.allowed[0]->http_method, "POST");
    }
    assert_int_equal(route_match(foreign_router, "POST", "/foreign.v1.Shelf/None", 22, &m),
                     ROUTE_NOT_FOUND);
}

/* Rules from a file: what they say is served, and what is wrong with one is told with its line. */
static void takes_rules_from_a_file(void **state)
{
    (void) state;
    static const struct {
        const char *text, *error; /* NULL: taken */
    } cases[] = {
        { "type: google.api.Service\nhttp:\n  rules:\n"
          "  - selector: foreign.v1.Shelf.Nothing\n    get: /v9/nothing/{name}\n"
          "    additional_bindings:\n    - post: /v9/nothing:find\n      body: \"*\"\n"
          "    - custom: { kind: PURGE, path: /v9/nothing }\n",
          NULL },
        { "http: { rules: [] }", NULL },
        { "", "no list at http.rules" },
        { "http: 5", "no list at http.rules" },
        { "http: {rules: [5]}", "line 1: a rule needs a selector" },
        { "http: {rules: [{selector: [a]}]}", "a text is expected" },
        { "http:\n rules:\n - selector: foreign.v1.Shelf.Nothin\n   get: /a\n",
          "line 3: selector names no method: foreign.v1.Shelf.Nothin; did you mean "
          "foreign.v1.Shelf.Nothing?" },
        { "http: {rules: [{selector: foreign.v1.Shelf.Nothing}]}", "a rule needs get, put" },
        { "http: {rules: [{selector: foreign.v1.Shelf.Nothing, get: /a, put: /b}]}",
          "a rule has two patterns" },
        { "http: {rules: [{selector: foreign.v1.Shelf.Nothing, gett: /a}]}",
          "a rule has an unknown key: gett" },
        { "http: {rules: [{selector: foreign.v1.Shelf.Nothing, custom: {kind: A}}]}",
          "custom needs a kind and a path" },
        { "http: {rules: [{selector: foreign.v1.Shelf.Nothing, get: /a, additional_bindings: "
          "[{get: /b, additional_bindings: []}]}]}",
          "additional_bindings must not be nested" },
        { "http: {rules: [{selector: foreign.v1.Shelf.Nothing, get: /a, additional_bindings: 1}]}",
          "additional_bindings must be a list" },
        { "http: [", "did not find expected node content" },
        { "http: &a {rules: *b}", "found undefined alias" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct desc_pool *p = load(FOREIGN_FDS);
        char error[512] = "";
        struct guarded g = guarded_copy(cases[i].text, strlen(cases[i].text));
        int r = rules_file_apply(p, g.data, strlen(cases[i].text), error);
        guarded_free(g);
        if (cases[i].error != NULL && strstr(error, cases[i].error) == NULL)
            fail_msg("%s: \"%s\" expected, found \"%s\"", cases[i].text, cases[i].error, error);
        assert_int_equal(r < 0, cases[i].error != NULL);
        if (i == 0) {
            struct router *router;
            struct route_match m;
            assert_int_equal(router_new(p, "", &router, error), 0);
            assert_int_equal(route_match(router, "GET", "/v9/nothing/x", 13, &m), ROUTE_FOUND);
            assert_string_equal(m.route->method->path, "/foreign.v1.Shelf/Nothing");
            assert_int_equal(m.route->n_variables, 1);
            assert_int_equal(route_match(router, "POST", "/v9/nothing:find", 16, &m), ROUTE_FOUND);
            assert_true(m.route->body_all);
            assert_int_equal(route_match(router, "PURGE", "/v9/nothing", 11, &m), ROUTE_FOUND);
            router_free(router);
        }
        desc_pool_free(p);
    }
}

/* Everything with each list of wanted fields. */
static void filters_answers(void **state)
{
    (void) state;
    static const char name[] = "foreign.v1.Everything";
    static const struct {
        const char *fields, *out;
    } cases[] = {
        { "*",
          "{\"fInt32\":1,\"fMessage\":{\"text\":\"a\",\"number\":2,\"inner\":{\"text\":\"b\"}},"
          "\"rMessage\":[{\"text\":\"c\",\"number\":3},{\"number\":4}]}" },
        { "f_int32", "{\"fInt32\":1}" },
        { "fMessage.text,fInt32", "{\"fInt32\":1,\"fMessage\":{\"text\":\"a\"}}" },
        { "f_message.inner.text", "{\"fMessage\":{\"inner\":{\"text\":\"b\"}}}" },
        { "f_message.inner,f_message.inner.number,fMessage.number",
          "{\"fMessage\":{\"number\":2,\"inner\":{\"text\":\"b\"}}}" },
        { "f_message.number,f_message",
          "{\"fMessage\":{\"text\":\"a\",\"number\":2,\"inner\":{\"text\":\"b\"}}}" },
        { "r_message.number", "{\"rMessage\":[{\"number\":3},{\"number\":4}]}" },
        { "f_bool", "{}" },
        { "", "\"\" is no field of the answer" },
        { "f_int32,", "\"\" is no field of the answer" },
        { "f_int23", "\"f_int23\" is no field of the answer; did you mean \"fInt32\"?" },
        { "f_message.txt", "\"f_message.txt\" is no field of the answer; did you mean \"text\"?" },
        { "f_int32.x", "\"f_int32.x\" goes below a field that has none" },
        { "m_message.text", "\"m_message.text\" goes below a field that has none" },
        { "structure.a", "\"structure.a\" goes below a field that has none" },
    };
    const struct desc_message *m = desc_find_message(foreign, name, sizeof name - 1);
    struct buf wire = { 0 };
    struct arena a;
    struct binder b;
    static const char query[] =
        "f_int32=1&f_message.text=a&f_message.number=2&f_message.inner.text=b";
    arena_init(&a, 1024);
    bind_start(&b, m, &a);
    assert_int_equal(bind_query(&b, query, sizeof query - 1, false), 0);
    assert_int_equal(bind_write_rest(&b, NULL, &wire), 0);
    buf_put(&wire,
            "\xaa\x01\x05\x0a\x01"
            "c\x10\x03\xaa\x01\x02\x10\x04",
            13);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct to_json t;
        struct buf out = { 0 };
        struct filter *f = NULL;
        char error[200] = "";
        struct guarded g = guarded_copy(cases[i].fields, strlen(cases[i].fields));
        int r = filter_parse((const char *) g.data, strlen(cases[i].fields), m, &a, &f, error);
        guarded_free(g);
        to_json_init(&t, foreign, JSON_STANDARD);
        t.filter = f;
        if (r == 0)
            assert_int_equal(to_json_message(&t, m, wire.data, wire.size, &out), 0);
        else
            buf_puts(&out, error);
        assert_string_equal(buf_str(&out), cases[i].out);
        to_json_done(&t);
        buf_done(&out);
    }
    struct buf many = { 0 };
    struct filter *f = NULL;
    char error[200];
    for (int i = 0; i <= FILTER_PATHS_MAX; i++)
        buf_puts(&many, i == 0 ? "f_int32" : ",f_int32");
    assert_int_equal(filter_parse((const char *) many.data, many.size, m, &a, &f, error),
                     NRPC_E_PROTO);
    assert_non_null(strstr(error, "too many"));
    buf_done(&many);
    buf_done(&wire);
    arena_done(&a);
}

static void merges_route_options(void **state)
{
    (void) state;
    const struct desc_method *run =
        desc_find_method(contract, "/novelengine.v1.NovelEngine/RunSimulation");
    const struct desc_method *create =
        desc_find_method(contract, "/novelengine.v1.NovelEngine/CreateCharacter");
    const struct desc_method *watch =
        desc_find_method(contract, "/novelengine.v1.NovelEngine/WatchSimulation");
    const struct desc_method *patch = desc_find_method(foreign, "/foreign.v1.Shelf/PatchInner");
    assert_int_equal(run->route->dialect, NRPC__ROUTE_OPTIONS__DIALECT__DIALECT_LEGACY);
    assert_int_equal(run->route->invalid_argument_code, 422);
    assert_true(run->route->ignore_unknown_fields);
    assert_false(create->route->ignore_unknown_fields);
    assert_int_equal(create->route->success_code, 201);
    assert_string_equal(create->route->location, "/characters/{character_id}");
    assert_string_equal(watch->route->stream->resume_field, "after_sequence");
    assert_true(watch->server_streaming && !run->server_streaming);
    assert_int_equal(patch->route->dialect, NRPC__ROUTE_OPTIONS__DIALECT__DIALECT_STANDARD);
    assert_int_equal(patch->route->success_code, 202);
    assert_null(desc_find_method(foreign, "/foreign.v1.Shelf/Nothing")->http);
}

/* Binds a query to Everything and writes the message as standard JSON; or the error as "field:
 * message". */
static void bind_to_json(const char *query, bool ignore_unknown, struct buf *out)
{
    static const char name[] = "foreign.v1.Everything";
    const struct desc_message *m = desc_find_message(foreign, name, sizeof name - 1);
    struct arena a;
    struct binder b;
    struct buf wire = { 0 };
    arena_init(&a, 1024);
    bind_start(&b, m, &a);
    struct guarded g = guarded_copy(query, strlen(query));
    int r = bind_query(&b, (const char *) g.data, strlen(query), ignore_unknown);
    guarded_free(g);
    if (r == 0)
        r = bind_write_rest(&b, NULL, &wire);
    if (r < 0) {
        assert_int_equal(r, NRPC_E_PROTO);
        buf_printf(out, "%s: %s", b.error.field, b.error.message);
    } else {
        struct to_json t;
        to_json_init(&t, foreign, JSON_STANDARD);
        assert_int_equal(to_json_message(&t, m, wire.data, wire.size, out), 0);
        to_json_done(&t);
    }
    buf_done(&wire);
    arena_done(&a);
}

static void binds_queries(void **state)
{
    (void) state;
    static const struct {
        const char *query, *out;
    } cases[] = {
        { "", "{}" },
        { "&&", "{}" },
        { "f_int32=5&fBool=true", "{\"fInt32\":5,\"fBool\":true}" },
        { "f_string=a+b%26%3D", "{\"fString\":\"a b&=\"}" },
        { "f_string", "{}" },
        { "f_uint64=18446744073709551615", "{\"fUint64\":\"18446744073709551615\"}" },
        { "f_double=-Infinity", "{\"fDouble\":\"-Infinity\"}" },
        { "f_bytes=_-8%3D", "{\"fBytes\":\"/+8=\"}" },
        { "f_enum=COLOR_RED&r_enum=2&rEnum=COLOR_NEGATIVE",
          "{\"fEnum\":\"COLOR_RED\",\"rEnum\":[\"COLOR_DARK_BLUE\",\"COLOR_NEGATIVE\"]}" },
        { "f_enum=color_dark_blue&r_enum=Color_Red&r_enum=-1",
          "{\"fEnum\":\"COLOR_DARK_BLUE\",\"rEnum\":[\"COLOR_RED\",\"COLOR_NEGATIVE\"]}" },
        { "f_message.inner.text=x&r_string=1&f_message.number=3&r_string=2",
          "{\"fMessage\":{\"number\":3,\"inner\":{\"text\":\"x\"}},\"rString\":[\"1\",\"2\"]}" },
        { "m_string[a.b]=1&m_string[]=2&m_bool[true]=2.5",
          "{\"mString\":{\"a.b\":\"1\",\"\":\"2\"},\"mBool\":{\"true\":2.5}}" },
        { "w_int32=0&w_string=&w_bool=false", "{\"wBool\":false,\"wInt32\":0,\"wString\":\"\"}" },
        { "timestamp=2024-01-02T03:04:05Z&duration=1.5s&mask=f_string,fBool",
          "{\"timestamp\":\"2024-01-02T03:04:05Z\",\"duration\":\"1.500s\",\"mask\":\"fString,"
          "fBool\"}" },
        { "r_timestamp=2024-01-02T03:04:05Z&o_int32=0",
          "{\"oInt32\":0,\"rTimestamp\":[\"2024-01-02T03:04:05Z\"]}" },
        { "f_int23=5", "f_int23: unknown parameter; did you mean \"fInt32\"?" },
        { "zzz=5", "zzz: unknown parameter" },
        { "f_message.txt=5", "f_message.txt: unknown parameter; did you mean \"text\"?" },
        { "f_int32=5&fInt32=5", "f_int32: is given twice" },
        { "o_int32=1&o_string=a", "o_string: another field of the same oneof is given" },
        { "f_int32=a", "f_int32: must be a whole number from -2147483648 to 2147483647" },
        { "f_bool=1", "f_bool: must be true or false" },
        { "f_enum=COLOR_REDD", "f_enum: must be a name of the enum foreign.v1.Everything.Color; "
                               "did you mean \"COLOR_RED\"?" },
        { "f_message=x", "f_message: is a message: name one of its fields" },
        { "r_message=x", "r_message: cannot stand in the query; send it in a body" },
        { "structure=x", "structure: must be JSON: expected a value, found 'x'" },
        { "structure={\"a\":[1,null]}&value=true&list_value=[1]",
          "{\"structure\":{\"a\":[1,null]},\"value\":true,\"listValue\":[1]}" },
        { "structure=[]", "structure: must be JSON: expected an object, found a list" },
        { "value={\"a\":1,\"a\":2}", "value: must be JSON: the key stands twice in this object" },
        { "m_value[a]=null&m_value[b]=\"x\"", "{\"mValue\":{\"a\":null,\"b\":\"x\"}}" },
        { "any={}", "any: cannot stand in the query; send it in a body" },
        { "m_string=x", "m_string: is a map: write name[key]=value" },
        { "m_message[1]=x", "m_message[\"1\"]: cannot stand in the query; send it in a body" },
        { "m_string[a]=1&m_string[a]=2", "m_string[\"a\"]: the key is given twice" },
        { "f_string[a]=1", "f_string[\"a\"]: is not a map" },
        { "f_string=%zz", "f_string: the value is badly encoded" },
        { "%ff=1", "%ff: the parameter's name is badly encoded" },
        { "f_string.x=1", "f_string.x: has no fields of its own" },
        { "timestamp=today",
          "timestamp: must be an RFC 3339 time such as \"2030-01-31T12:00:00Z\"" },
        { "f_uint32=-1", "f_uint32: must be a whole number from 0 to 4294967295" },
        { "w_int32=x", "w_int32: must be a whole number from -2147483648 to 2147483647" },
        { "=", ": unknown parameter" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        bind_to_json(cases[i].query, false, &b);
        assert_string_equal(buf_str(&b), cases[i].out);
        buf_done(&b);
    }
    struct buf b = { 0 };
    bind_to_json("zzz=5&f_int32=1", true, &b);
    assert_string_equal(buf_str(&b), "{\"fInt32\":1}");
    buf_reset(&b);
    struct buf many = { 0 };
    for (int i = 0; i < 129; i++)
        buf_puts(&many, "r_string=x&");
    bind_to_json(buf_str(&many), false, &b);
    assert_string_equal(buf_str(&b), "r_string: too many parameters");
    buf_done(&many);
    buf_done(&b);
}

/* The way of a request: path and query bound, body transcoded into the body field's region. */
static void assemble(const struct router *router, const struct desc_pool *pool, const char *method,
                     const char *path, const char *body, struct buf *out)
{
    struct route_match m;
    struct arena a;
    struct binder b;
    struct buf wire = { 0 }, mask = { 0 };
    struct to_wire t;
    struct to_wire_options o = { .pool = pool, .mask = &mask };
    arena_init(&a, 1024);
    assert_int_equal(route_match(router, method, path, strlen(path), &m), ROUTE_FOUND);
    bind_start(&b, m.route->method->input, &a);
    assert_int_equal(bind_path(&b, &m), 0);
    const struct desc_field *field = m.route->body;
    if (field != NULL)
        wire_put_tag(&wire, field->number, WIRE_BYTES);
    size_t region = wire_region_open(&wire);
    to_wire_init(&t, field != NULL ? field->message : m.route->method->input, &wire, &o);
    int r = to_wire_feed(&t, body, strlen(body));
    if (r == 0)
        r = to_wire_finish(&t);
    if (r < 0)
        buf_printf(out, "%s: %s", t.reader.error.path, t.reader.error.message);
    if (r == 0)
        r = bind_check_body(&b, field, wire.data + region + 1, wire.size - region - 1);
    if (r == 0)
        r = field != NULL ? bind_write_below(&b, field, &wire) : 0;
    wire_region_close(&wire, region);
    if (r == 0)
        r = bind_write_rest(&b, field, &wire);
    if (r < 0 && out->size == 0)
        buf_printf(out, "%s: %s", b.error.field, b.error.message);
    if (r == 0) {
        struct to_json j;
        to_json_init(&j, pool, JSON_STANDARD);
        if (field == NULL) /* the region's length stands before the whole message */
            buf_drop(&wire, 1);
        assert_int_equal(to_json_message(&j, m.route->method->input, wire.data, wire.size, out), 0);
        static const char name[] = "google.protobuf.FieldMask";
        buf_putc(out, ' ');
        j.style = to_json_style(JSON_LEGACY);
        assert_int_equal(to_json_message(&j, desc_find_message(pool, name, sizeof name - 1),
                                         mask.data, mask.size, out),
                         0);
        to_json_done(&j);
    }
    to_wire_done(&t);
    buf_done(&wire);
    buf_done(&mask);
    arena_done(&a);
}

static void joins_path_and_body(void **state)
{
    (void) state;
    static const struct {
        const char *method, *path, *body, *out;
    } cases[] = {
        { "PATCH", "/v1/patch/k", "{\"f_int32\":3}",
          "{\"everything\":{\"fInt32\":3,\"fString\":\"k\"}} \"f_int32\"" },
        { "PATCH", "/v1/patch/k", "{\"fString\":\"k\"}",
          "{\"everything\":{\"fString\":\"k\"}} \"f_string\"" },
        { "PATCH", "/v1/patch/k", "{\"f_string\":\"other\"}",
          "everything.f_string: the path and the body say different things" },
        { "PATCH", "/v1/patch/k",
          "{\"fMessage\":{\"text\":null,\"inner\":{\"number\":1,\"list\":[]}},\"r_int32\":[],\"m_"
          "string\":{},\"f_int64\":null,\"structure\":{\"a\":1},\"w_int32\":2}",
          "{\"everything\":{\"fString\":\"k\",\"fMessage\":{\"inner\":{\"number\":1}},\"wInt32\":2,"
          "\"structure\":{\"a\":1}}} "
          "\"f_message.text,f_message.inner.number,f_message.inner.list,r_int32,m_string,f_int64,"
          "structure,w_int32\"" },
        { "PATCH", "/v1/patch/k", "{\"f_message\":{}}",
          "{\"everything\":{\"fString\":\"k\",\"fMessage\":{}}} \"f_message\"" },
        { "PATCH", "/v1/patch/k", "{}", "{\"everything\":{\"fString\":\"k\"}} \"\"" },
        { "PUT", "/v1/everything/k", "{\"f_string\":\"k\",\"f_bool\":true}",
          "{\"fBool\":true,\"fString\":\"k\"} \"f_string,f_bool\"" },
        { "PUT", "/v1/everything/k", "{\"f_string\":\"j\"}",
          "f_string: the path and the body say different things" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b = { 0 };
        assemble(foreign_router, foreign, cases[i].method, cases[i].path, cases[i].body, &b);
        assert_string_equal(buf_str(&b), cases[i].out);
        buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_templates),
        cmocka_unit_test(decodes_percent),
        cmocka_unit_test(finds_routes),
        cmocka_unit_test(refuses_clashes_and_broken_sets),
        cmocka_unit_test(refuses_rules_that_cannot_work),
        cmocka_unit_test(every_method_has_its_own_path),
        cmocka_unit_test(takes_rules_from_a_file),
        cmocka_unit_test(filters_answers),
        cmocka_unit_test(merges_route_options),
        cmocka_unit_test(binds_queries),
        cmocka_unit_test(joins_path_and_body),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
