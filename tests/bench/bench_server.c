/* bench_server — the peers' contract (peers/bench.proto) on libnrpc, for comparisons of like with like:
 *   bench_server ADDRESS CHARACTERS.json LOOPS
 * It fills each answer as the peers do: the clock and texts anew for every message. */
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.nrpc.h"

#define PB(name) Novelengine__V1__##name
enum { CHARACTERS_MAX = 64 };

static PB(Character) characters[CHARACTERS_MAX];
static char *names[CHARACTERS_MAX];
static size_t n_characters;
static struct timespec started;

/* ---- the stored characters --------------------------------------------------------------- */

static char *text_of(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return strdup(s == NULL ? "" : s);
}

#define FILL_MAP(target, count, Entry, INIT, object, member)                                                              \
    do {                                                                                                               \
        json_t *map = json_object_get(object, member), *value;                                                            \
        const char *name;                                                                                              \
        (target) = calloc(json_object_size(map) + 1, sizeof *(target));                                                \
        json_object_foreach(map, name, value)                                                                          \
        {                                                                                                              \
            Entry *e = malloc(sizeof *e);                                                                              \
            *e = (Entry) INIT;                                                                                         \
            e->key = strdup(name);                                                                                     \
            e->value = json_number_value(value);                                                                       \
            (target)[(count)++] = e;                                                                                   \
        }                                                                                                              \
    } while (0)

static void load_character(const json_t *o)
{
    PB(Character) *c = &characters[n_characters];
    *c = (PB(Character)) NOVELENGINE__V1__CHARACTER__INIT;
    c->character_id = text_of(o, "character_id");
    c->name = text_of(o, "name");
    c->title = text_of(o, "title");
    c->faction = text_of(o, "faction");
    c->status = text_of(o, "status");
    c->location = text_of(o, "location");
    c->biography = text_of(o, "biography");
    c->motivation = text_of(o, "motivation");
    c->age = (int32_t) json_integer_value(json_object_get(o, "age"));
    FILL_MAP(c->skills, c->n_skills, PB(Character__SkillsEntry), NOVELENGINE__V1__CHARACTER__SKILLS_ENTRY__INIT, o, "skills");
    FILL_MAP(c->relationships, c->n_relationships, PB(Character__RelationshipsEntry),
             NOVELENGINE__V1__CHARACTER__RELATIONSHIPS_ENTRY__INIT, o, "relationships");
    json_t *list = json_object_get(o, "inventory");
    c->inventory = calloc(json_array_size(list) + 1, sizeof *c->inventory);
    for (; c->n_inventory < json_array_size(list); c->n_inventory++)
        c->inventory[c->n_inventory] = strdup(json_string_value(json_array_get(list, c->n_inventory)));
    names[n_characters++] = c->name;
}

/* ---- unary ------------------------------------------------------------------------------- */

static void on_health(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    nrpc_msg_free(request);
    struct timespec now, mono;
    struct tm parts;
    char stamp[64];
    clock_gettime(CLOCK_REALTIME, &now);
    clock_gettime(CLOCK_MONOTONIC, &mono);
    gmtime_r(&now.tv_sec, &parts);
    size_t n = strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(stamp + n, sizeof stamp - n, ".%03ldZ", now.tv_nsec / 1000000);
    PB(Health) h = NOVELENGINE__V1__HEALTH__INIT;
    h.status = (char *) "healthy";
    h.api = (char *) "running";
    h.timestamp = stamp;
    h.version = (char *) "1.0.0";
    h.config = (char *) "loaded";
    h.uptime = (double) (mono.tv_sec - started.tv_sec) + (double) (mono.tv_nsec - started.tv_nsec) / 1e9;
    novelengine_v1_novel_engine_get_health_reply(c, &h);
}

static void on_list(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    nrpc_msg_free(request);
    PB(CharacterList) l = NOVELENGINE__V1__CHARACTER_LIST__INIT;
    l.characters = names;
    l.n_characters = n_characters;
    l.count = (int32_t) n_characters;
    novelengine_v1_novel_engine_list_characters_reply(c, &l);
}

static void on_get(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    const char *id = novelengine_v1_novel_engine_get_character_request(request)->character_id;
    const PB(Character) *found = NULL;
    for (size_t i = 0; i < n_characters && found == NULL; i++)
        if (strcmp(characters[i].character_id, id) == 0)
            found = &characters[i];
    nrpc_msg_free(request);
    if (found == NULL)
        nrpc_call_fail(c, NRPC_NOT_FOUND, "no such character");
    else
        novelengine_v1_novel_engine_get_character_reply(c, found);
}

/* ---- the stream -------------------------------------------------------------------------- */

struct stream {
    nrpc_msg *request;
    uint64_t at, total;
};

static void send_more(nrpc_call *c, struct stream *s)
{
    const PB(StreamSimulationRequest) *r = novelengine_v1_novel_engine_stream_simulation_request(s->request);
    char text[256];
    while (s->at < s->total) {
        PB(SimulationEvent) e = NOVELENGINE__V1__SIMULATION_EVENT__INIT;
        uint64_t k = s->at++;
        e.sequence = k + 1;
        e.turn = (int32_t) (k / r->n_character_names) + 1;
        e.type = (char *) "action";
        e.text = text;
        snprintf(text, sizeof text,
                 "Turn %d: %s weighs the omens of the drowned citadel, chooses a path through the ash gardens and acts "
                 "before dusk.",
                 e.turn, r->character_names[k % r->n_character_names]);
        int sent = novelengine_v1_novel_engine_stream_simulation_emit(c, &e);
        if (sent < 0 || sent == NRPC_PAUSE)
            return;
    }
    nrpc_call_finish(c, NULL);
}

static void on_stream(nrpc_call *c, void *ctx, nrpc_msg *request)
{
    (void) ctx;
    const PB(StreamSimulationRequest) *r = novelengine_v1_novel_engine_stream_simulation_request(request);
    struct stream *s = nrpc_call_alloc(c, sizeof *s);
    if (s == NULL) {
        nrpc_msg_free(request);
        nrpc_call_fail(c, NRPC_RESOURCE_EXHAUSTED, "out of memory");
        return;
    }
    s->request = request;
    s->total = r->turns > 0 ? (uint64_t) r->turns * r->n_character_names : 0;
    nrpc_call_set_state(c, s);
    send_more(c, s);
}

static void on_stream_writable(nrpc_call *c, void *state)
{
    send_more(c, state);
}

static void on_stream_end(nrpc_call *c, void *state, const nrpc_status *st)
{
    (void) c;
    (void) st;
    if (state != NULL)
        nrpc_msg_free(((struct stream *) state)->request);
}

/* ---- main -------------------------------------------------------------------------------- */

static void die(const char *what)
{
    fprintf(stderr, "bench_server: %s\n", what);
    exit(1);
}

int main(int argc, char **argv)
{
    static const novelengine_v1_novel_engine_handlers handlers = {
        .get_health = { .request = on_health },
        .list_characters = { .request = on_list },
        .get_character = { .request = on_get },
        .stream_simulation = { .request = on_stream, .on_writable = on_stream_writable, .on_end = on_stream_end },
    };
    json_error_t error;
    json_t *list = argc == 4 ? json_load_file(argv[2], 0, &error) : NULL;
    if (list == NULL)
        die("usage: bench_server ADDRESS CHARACTERS.json LOOPS");
    for (size_t i = 0; i < json_array_size(list) && n_characters < CHARACTERS_MAX; i++)
        load_character(json_array_get(list, i));
    clock_gettime(CLOCK_MONOTONIC, &started);
    sigset_t stop;
    int received;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTERM);
    sigaddset(&stop, SIGINT);
    pthread_sigmask(SIG_BLOCK, &stop, NULL);
    nrpc_server_options o;
    nrpc_server *server;
    nrpc_server_defaults(&o);
    o.loops = (uint16_t) atoi(argv[3]);
    if (nrpc_server_new(&o, &server) < 0 || novelengine_v1_novel_engine_register(server, &handlers, NULL) < 0 ||
        nrpc_server_listen(server, argv[1]) < 0 || nrpc_server_start(server) < 0)
        die("cannot start");
    sigwait(&stop, &received);
    nrpc_server_stop(server, 500);
    nrpc_server_wait(server);
    nrpc_server_free(server);
    return 0;
}
