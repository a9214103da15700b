/* What novelctl's commands print and exit with, for answers and errors of every kind.  The
 * runtime's blocking calls are played here; the real ones run in tests/integration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "clients/cli/ctl.h"
#include "rpc/base/alloc.h"

struct nrpc_msg {
    const ProtobufCMessage *body;
};

/* The next answer: messages in order, then the code. */
static const ProtobufCMessage *answers[16];
static size_t n_answers, at_answer;
static nrpc_code answer_code;
static const char *answer_text;
static const ProtobufCMessage *answer_detail;
static char asked[64];
static uint8_t *asked_bytes; /* the packed request */
static size_t asked_size;
static char asked_key[64];
static bool interrupted;

bool ctl_interrupted(void)
{
    return interrupted;
}
/* Threads of their own have clients of their own: this program has the one. */
int ctl_open(const struct ctl *c, nrpc_client **out_client)
{
    (void) c;
    (void) out_client;
    return EXIT_FAILED;
}
void nrpc_client_free(nrpc_client *client)
{
    (void) client;
}
const ProtobufCMessage *nrpc_msg_body(const nrpc_msg *m)
{
    return m->body;
}
void nrpc_msg_free(nrpc_msg *m)
{
    free(m);
}
void nrpc_channel_defaults(nrpc_channel_options *o)
{
    memset(o, 0, sizeof *o);
}
int nrpc_client_new(const nrpc_channel_options *o, nrpc_client **out_client)
{
    (void) o, (void) out_client;
    return NRPC_E_INVAL;
}

static nrpc_code finish(nrpc_status *st)
{
    if (answer_code != NRPC_OK) {
        nrpc_status_set(st, answer_code, "%s", answer_text);
        if (answer_detail != NULL)
            assert_int_equal(nrpc_status_add_detail(st, answer_detail), 0);
    }
    return answer_code;
}

static nrpc_msg *next_message(void)
{
    nrpc_msg *m = malloc(sizeof *m);
    assert_non_null(m);
    m->body = answers[at_answer++];
    return m;
}

static void note_request(const nrpc_method *method, const nrpc_client_options *o,
                         const ProtobufCMessage *request)
{
    assert_ptr_equal(request->descriptor, method->input);
    snprintf(asked, sizeof asked, "%s", method->name);
    free(asked_bytes);
    asked_size = protobuf_c_message_get_packed_size(request);
    asked_bytes = malloc(asked_size + 1);
    assert_non_null(asked_bytes);
    protobuf_c_message_pack(request, asked_bytes);
    asked_key[0] = '\0';
    if (o != NULL && o->metadata != NULL)
        snprintf(asked_key, sizeof asked_key, "%s=%s", o->metadata[0], o->metadata[1]);
}

nrpc_code nrpc_client_unary(nrpc_client *cl, const nrpc_method *method,
                            const nrpc_client_options *o, const ProtobufCMessage *request,
                            nrpc_msg **out_response, nrpc_status *st)
{
    (void) cl;
    note_request(method, o, request);
    if (answer_code == NRPC_OK) {
        assert_true(at_answer < n_answers);
        assert_ptr_equal(answers[at_answer]->descriptor, method->output);
        *out_response = next_message();
    }
    return finish(st);
}
nrpc_code nrpc_client_stream(nrpc_client *cl, const nrpc_method *method,
                             const nrpc_client_options *o, const ProtobufCMessage *request,
                             bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx, nrpc_status *st)
{
    (void) cl;
    note_request(method, o, request);
    while (at_answer < n_answers)
        if (!on_message(ctx, next_message())) {
            nrpc_status_set(st, NRPC_CANCELLED, "cancelled");
            return NRPC_CANCELLED;
        }
    return finish(st);
}

/* direct is tried with the real runtime only: tests/integration/test_direct.py. */
nrpc_code nrpc_client_duplex(nrpc_client *cl, const nrpc_method *method,
                             const nrpc_client_options *o,
                             void (*on_open)(void *ctx, nrpc_call *c),
                             bool (*on_message)(void *ctx, nrpc_msg *m), void *ctx, nrpc_status *st)
{
    (void) cl, (void) method, (void) o, (void) on_open, (void) on_message, (void) ctx, (void) st;
    fail();
    return NRPC_UNKNOWN;
}
int nrpc_call_send(nrpc_call *c, const ProtobufCMessage *m)
{
    (void) c, (void) m;
    return NRPC_E_STATE;
}
void nrpc_call_cancel(nrpc_call *c)
{
    (void) c;
}
void nrpc_client_post(nrpc_client *cl, nrpc_task *t)
{
    (void) cl, (void) t;
}

/* ---- running one command with its output caught ---- */
static char out[65536], err[65536];

static void read_back(FILE *file, char *text, size_t size)
{
    rewind(file);
    size_t n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    fclose(file);
}

static int run(const char *line)
{
    static char copy[2048];
    static char *argv[32];
    int argc = 0;
    strcpy(copy, line);
    argv[argc++] = "novelctl";
    for (char *word = strtok(copy, "|"); word != NULL; word = strtok(NULL, "|"))
        argv[argc++] = word;
    static struct ctl c;
    memset(&c, 0, sizeof c);
    char problem[400];
    if (!args_parse(&c.args, argc, argv, problem, sizeof problem))
        fail_msg("%s: %s", line, problem);
    c.server = "127.0.0.1:50051";
    c.json = args_has(&c.args, FLAG_JSON);
    c.width_out = 80;
    at_answer = 0;
    FILE *o = tmpfile(), *e = tmpfile();
    assert_true(o != NULL && e != NULL);
    fflush(stdout);
    fflush(stderr);
    int old_out = dup(1), old_err = dup(2);
    dup2(fileno(o), 1);
    dup2(fileno(e), 2);
    int code = c.args.command->run(&c);
    nrpc_status_clear(&c.status);
    fflush(stdout);
    fflush(stderr);
    dup2(old_out, 1);
    dup2(old_err, 2);
    close(old_out);
    close(old_err);
    read_back(o, out, sizeof out);
    read_back(e, err, sizeof err);
    return code;
}

static void answer(const ProtobufCMessage *m)
{
    answers[0] = m;
    n_answers = m != NULL;
    answer_code = NRPC_OK;
    answer_detail = NULL;
    interrupted = false;
}

static void refuse(nrpc_code code, const char *text, const ProtobufCMessage *detail)
{
    n_answers = 0;
    answer_code = code;
    answer_text = text;
    answer_detail = detail;
    interrupted = false;
}

#define HAS(where, text)                                                                           \
    do {                                                                                           \
        if (strstr(where, text) == NULL)                                                           \
            fail_msg("no '%s' in: %s", text, where);                                               \
    } while (0)

static void test_health(void **state)
{
    (void) state;
    Novelengine__V1__Health health = NOVELENGINE__V1__HEALTH__INIT;
    health.status = "healthy";
    health.version = "9.9";
    health.uptime = 125;
    answer(&health.base);
    assert_int_equal(run("health"), EXIT_OK);
    assert_string_equal(out, "healthy  novel-server at 127.0.0.1:50051, API 9.9, up 2 min 5 s\n");
    assert_string_equal(err, "");
    assert_int_equal(run("health|--json"), EXIT_OK);
    HAS(out, "{\"status\":\"healthy\",");
    health.status = "degraded";
    health.config = "error";
    assert_int_equal(run("health"), EXIT_FAILED);
    HAS(out, "config: error");
}

static void test_exit_codes_and_advice(void **state)
{
    (void) state;
    static const struct {
        const char *line;
        nrpc_code code;
        int exit;
        const char *advice;
    } rows[] = {
        { "show|x", NRPC_NOT_FOUND, 3, "novelctl list" },
        { "characters|show|x", NRPC_NOT_FOUND, 3, "novelctl characters lists" },
        { "simulate|a|b", NRPC_NOT_FOUND, 3, "novelctl characters lists" },
        { "health", NRPC_UNAVAILABLE, 4, "NOVELCTL_SERVER" },
        { "submit|a|b", NRPC_INVALID_ARGUMENT, 5, "novelctl help simulate" },
        { "cancel|x", NRPC_FAILED_PRECONDITION, 6, "" },
        { "delete|x", NRPC_FAILED_PRECONDITION, 6, "--force" },
        { "characters|update|x|--set|name=y", NRPC_ABORTED, 6, "look at it again" },
        { "characters|reset|x", NRPC_UNIMPLEMENTED, 1, "novelctl info" },
        { "list", NRPC_DEADLINE_EXCEEDED, 7, "--timeout" },
        { "submit|a|b", NRPC_RESOURCE_EXHAUSTED, 8, "try again later" },
        { "story|x", NRPC_INTERNAL, 1, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        refuse(rows[i].code, "the reason", NULL);
        int code = run(rows[i].line);
        if (code != rows[i].exit)
            fail_msg("%s: exit %d", rows[i].line, code);
        HAS(err, "novelctl: ");
        HAS(err, "the reason");
        HAS(err, rows[i].advice);
        assert_string_equal(out, "");
        char json[256];
        snprintf(json, sizeof json, "--json|%s", rows[i].line);
        assert_int_equal(run(json), rows[i].exit);
        assert_int_equal(err[0], '{');
        HAS(err, "\"message\":\"the reason\"");
    }
}

static void test_violations_are_listed(void **state)
{
    (void) state;
    Google__Rpc__BadRequest__FieldViolation one = GOOGLE__RPC__BAD_REQUEST__FIELD_VIOLATION__INIT,
                                            two = one;
    Google__Rpc__BadRequest__FieldViolation *both[] = { &one, &two };
    Google__Rpc__BadRequest bad = GOOGLE__RPC__BAD_REQUEST__INIT;
    one.field = "character_names";
    one.description = "must have 2 to 6 items, not 1";
    two.field = "turns\x1b[2J";
    two.description = "must be 1 to 50, not 0";
    bad.field_violations = both;
    bad.n_field_violations = 2;
    refuse(NRPC_INVALID_ARGUMENT, "character_names must have 2 to 6 items, not 1 (and 1 more)",
           &bad.base);
    assert_int_equal(run("simulate|pilot|--turns|0"), EXIT_INVALID);
    HAS(err, "  character_names: must have 2 to 6 items, not 1\n");
    HAS(err, "  turns[2J: must be 1 to 50, not 0\n"); /* no escape reaches the terminal */
    HAS(err, "two to six different characters");
    assert_int_equal(run("--json|simulate|pilot"), EXIT_INVALID);
    HAS(err,
        "\"@type\":\"type.googleapis.com/"
        "google.rpc.BadRequest\",\"value\":{\"field_violations\":[{\"field\":\"character_names\"");
}

/* ---- following ---- */
static Novelengine__V1__SimulationUpdate updates[4];
static Novelengine__V1__SimulationEvent events[2];
static Novelengine__V1__SimulationResult result;
static Novelengine__V1__StoryMetadata metadata;

static void script_simulation(void)
{
    for (int i = 0; i < 4; i++) {
        novelengine__v1__simulation_update__init(&updates[i]);
        updates[i].simulation_id = "sim_1";
        updates[i].sequence = i < 2 ? (uint64_t) i + 1 : 2;
        updates[i].progress_percent = i < 2 ? 50 : 100;
        answers[i] = &updates[i].base;
    }
    for (int i = 0; i < 2; i++) {
        novelengine__v1__simulation_event__init(&events[i]);
        events[i].sequence = (uint64_t) i + 1;
        events[i].turn = i + 1;
        events[i].text = i == 0 ? "The hatch sticks." : "It opens.";
        events[i].phase = NOVELENGINE__V1__SIMULATION_EVENT__PHASE__PHASE_SETUP;
        updates[i].type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_EVENT;
        updates[i].update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_EVENT;
        updates[i].event = &events[i];
    }
    novelengine__v1__simulation_result__init(&result);
    novelengine__v1__story_metadata__init(&metadata);
    result.story = "# Open\n\nThe hatch opened.";
    result.seed = 11;
    result.turns_executed = 2;
    result.metadata = &metadata;
    metadata.word_count = 3;
    updates[2].type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_RESULT;
    updates[2].update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_RESULT;
    updates[2].result = &result;
    n_answers = 3;
    answer_code = NRPC_OK;
    answer_detail = NULL;
    interrupted = false;
}

static void test_simulate(void **state)
{
    (void) state;
    script_simulation();
    assert_int_equal(
        run("simulate|a|b|--turns|2|--seed|11|--mood|dark|--words|300|--idempotency-key|k1"),
        EXIT_OK);
    assert_string_equal(out, "# Open\n\nThe hatch opened.\n"); /* the story, alone, as it is */
    HAS(err, "turn 1 of 2, setup, tension 0: The hatch sticks.\n");
    HAS(err, "sim_1: seed 11, 2 turns, 0 events, 3 words");
    assert_string_equal(asked, "StreamSimulation");
    assert_string_equal(asked_key, "idempotency-key=k1");
    Novelengine__V1__SimulationRequest *r =
        novelengine__v1__simulation_request__unpack(NULL, asked_size, asked_bytes);
    assert_non_null(r);
    assert_int_equal(r->n_character_names, 2);
    assert_int_equal(r->turns->value, 2);
    assert_int_equal(r->seed->value, 11);
    assert_string_equal(r->mood, "dark");
    assert_int_equal(r->telling->words->value, 300);
    novelengine__v1__simulation_request__free_unpacked(r, NULL);

    script_simulation();
    assert_int_equal(run("simulate|a|b|--events"), EXIT_OK);
    HAS(err, "   1  turn 1   setup          0  The hatch sticks.\n");
    HAS(err, "   2  turn 2   setup          0  It opens.\n");
    r = novelengine__v1__simulation_request__unpack(NULL, asked_size, asked_bytes);
    assert_true(r->turns == NULL && r->seed == NULL && r->telling == NULL);
    novelengine__v1__simulation_request__free_unpacked(r, NULL);
    assert_string_equal(asked_key, "");

    script_simulation();
    assert_int_equal(run("--json|simulate|a|b"), EXIT_OK);
    assert_string_equal(err, "");
    int lines = 0;
    for (const char *c = out; *c != '\0'; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 3);
    HAS(out, "\"story\":\"# Open\\n\\nThe hatch opened.\"");
}

static void test_simulations_that_end_otherwise(void **state)
{
    (void) state;
    script_simulation();
    n_answers = 2;
    events[1].type = NOVELENGINE__V1__SIMULATION_EVENT__TYPE__TYPE_CANCELLED;
    assert_int_equal(run("simulate|a|b"), EXIT_FAILED);
    HAS(err, "the simulation was cancelled in turn 2");
    assert_int_equal(run("watch|sim_1"), EXIT_FAILED);
    HAS(err, "the simulation was cancelled in turn 2");

    Google__Rpc__Status error = GOOGLE__RPC__STATUS__INIT;
    error.message = "no way out";
    script_simulation();
    updates[2].type = NOVELENGINE__V1__SIMULATION_UPDATE__TYPE__TYPE_ERROR;
    updates[2].update_case = NOVELENGINE__V1__SIMULATION_UPDATE__UPDATE_ERROR;
    updates[2].error = &error;
    assert_int_equal(run("simulate|a|b"), EXIT_FAILED);
    HAS(err, "the simulation failed: no way out");
    assert_string_equal(out, "");

    script_simulation();
    n_answers = 2;
    assert_int_equal(run("simulate|a|b"), EXIT_FAILED);
    HAS(err, "the stream ended without a story");

    script_simulation();
    n_answers = 2;
    answer_code = NRPC_CANCELLED;
    answer_text = "cancelled";
    interrupted = true;
    assert_int_equal(run("simulate|a|b"), EXIT_INTERRUPTED);
    HAS(err, "novelctl watch sim_1 --after 2");
    HAS(err, "novelctl cancel sim_1");

    script_simulation();
    n_answers = 2;
    answer_code = NRPC_UNAVAILABLE;
    answer_text = "gone";
    assert_int_equal(run("simulate|a|b|--patience|0"), EXIT_UNAVAILABLE);
    HAS(err, "no answer from novel-server at 127.0.0.1:50051: gone");
    HAS(err, "novelctl watch sim_1 --after 2");
}

static void test_watch(void **state)
{
    (void) state;
    script_simulation();
    assert_int_equal(run("watch|sim_1|--full"), EXIT_OK);
    HAS(out, "   1  turn 1   setup          0  The hatch sticks.\n   2  turn 2");
    HAS(err, "novelctl story sim_1");
    Novelengine__V1__WatchSimulationRequest *r =
        novelengine__v1__watch_simulation_request__unpack(NULL, asked_size, asked_bytes);
    assert_int_equal(r->view, NOVELENGINE__V1__EVENT_VIEW__EVENT_VIEW_FULL);
    novelengine__v1__watch_simulation_request__free_unpacked(r, NULL);
    char line[400] = "watch|";
    memset(line + 6, 'x', 300);
    assert_int_equal(run(line), EXIT_NOT_FOUND);
}

static void test_lists(void **state)
{
    (void) state;
    char *ids[] = { "pilot", "medic" };
    Novelengine__V1__Persona persona = NOVELENGINE__V1__PERSONA__INIT;
    Novelengine__V1__Character pilot = NOVELENGINE__V1__CHARACTER__INIT, *profiles[] = { &pilot };
    Novelengine__V1__ListCharactersResponse r = NOVELENGINE__V1__LIST_CHARACTERS_RESPONSE__INIT;
    persona.role = "flies";
    persona.age = 34;
    pilot.character_id = "pilot";
    pilot.name = "Alex\x07 Chen";
    pilot.persona = &persona;
    pilot.background_summary = "He flew.";
    r.characters = ids;
    r.n_characters = 2;
    r.profiles = profiles;
    r.n_profiles = 1;
    answer(&r.base);
    assert_int_equal(run("characters"), EXIT_OK);
    assert_string_equal(out,
                        "ID     NAME       ROLE\npilot  Alex Chen  flies\nmedic             \n");
    answer(&pilot.base);
    assert_int_equal(run("characters|show|pilot"), EXIT_OK);
    assert_string_equal(out, "Alex Chen (pilot)\nflies, 34\n\nBackground\nHe flew.\n");

    Novelengine__V1__Simulation s = NOVELENGINE__V1__SIMULATION__INIT, *list[] = { &s };
    Novelengine__V1__ListSimulationsResponse l = NOVELENGINE__V1__LIST_SIMULATIONS_RESPONSE__INIT;
    Novelengine__V1__SimulationRequest request = NOVELENGINE__V1__SIMULATION_REQUEST__INIT;
    answer(&l.base);
    assert_int_equal(run("list"), EXIT_OK);
    HAS(err, "There are none yet");
    s.simulation_id = "sim_1";
    s.state = NOVELENGINE__V1__SIMULATION__STATE__STATE_RUNNING;
    s.progress_percent = 40;
    s.turns_done = 2;
    s.request = &request;
    request.character_names = ids;
    request.n_character_names = 2;
    l.simulations = list;
    l.n_simulations = 1;
    l.next_page_token = "more";
    assert_int_equal(run("list|--limit|1|--state|running"), EXIT_OK);
    assert_string_equal(out, "ID     STATE         TURNS  MADE  STORY\nsim_1  running 40 %  2      "
                             "      pilot, medic\n");
    HAS(err, "There are more");
    answer(&s.base);
    assert_int_equal(run("show|sim_1"), EXIT_OK);
    HAS(out, "state       running, 40 %\ncast        pilot, medic\n");
    assert_int_equal(run("submit|a|b"), EXIT_OK);
    assert_string_equal(out, "sim_1\n");
    assert_int_equal(run("cancel|sim_1"), EXIT_OK);
    HAS(out, "sim_1 stops within a turn");
    assert_int_equal(run("list|--state|sleeping"), EXIT_USAGE);
}

static void test_pages_end_at_the_limit(void **state)
{
    (void) state;
    Novelengine__V1__Simulation s[2] = { NOVELENGINE__V1__SIMULATION__INIT,
                                         NOVELENGINE__V1__SIMULATION__INIT };
    Novelengine__V1__Simulation *list[] = { &s[0], &s[1] };
    Novelengine__V1__ListSimulationsResponse l = NOVELENGINE__V1__LIST_SIMULATIONS_RESPONSE__INIT;
    l.simulations = list;
    l.n_simulations = 2;
    l.next_page_token = "next";
    answer(&l.base);
    answers[1] = answers[2] = &l.base;
    n_answers = 3;
    assert_int_equal(run("--json|list|--limit|5"), EXIT_OK);
    assert_int_equal(at_answer, 3); /* 2 + 2 + 1 asked for */
    Novelengine__V1__ListSimulationsRequest *r =
        novelengine__v1__list_simulations_request__unpack(NULL, asked_size, asked_bytes);
    assert_int_equal(r->page_size, 1);
    assert_string_equal(r->page_token, "next");
    novelengine__v1__list_simulations_request__free_unpacked(r, NULL);
}

static void test_story_and_export(void **state)
{
    (void) state;
    Google__Api__HttpBody body = GOOGLE__API__HTTP_BODY__INIT,
                          second = GOOGLE__API__HTTP_BODY__INIT;
    body.content_type = "text/markdown; charset=utf-8";
    body.data = (ProtobufCBinaryData){ 9, (uint8_t *) "# A\n\nText" };
    answer(&body.base);
    assert_int_equal(run("story|sim_1"), EXIT_OK);
    assert_string_equal(out, "# A\n\nText"); /* the bytes as they are stored */
    char line[256], path[] = "/tmp/novelctl-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    second.data = (ProtobufCBinaryData){ 4, (uint8_t *) "\0\1\2\3" };
    answer(&second.base);
    answers[1] = &body.base;
    n_answers = 2;
    snprintf(line, sizeof line, "export|sim_1|-o|%s", path);
    assert_int_equal(run(line), EXIT_OK);
    HAS(err, "13 bytes; check it:  novel-verify ");
    char bytes[32];
    FILE *f = fopen(path, "rb");
    assert_int_equal(fread(bytes, 1, sizeof bytes, f), 13);
    fclose(f);
    assert_memory_equal(bytes, "\0\1\2\3# A\n\nText", 13);
    answer(&second.base);
    answer_code = NRPC_UNAVAILABLE;
    answer_text = "gone";
    assert_int_equal(run(line), EXIT_UNAVAILABLE);
    f = fopen(path, "rb"); /* half a log replaces no whole one */
    assert_int_equal(fread(bytes, 1, sizeof bytes, f), 13);
    fclose(f);
    unlink(path);
    assert_int_equal(run(line), EXIT_UNAVAILABLE);
    assert_int_not_equal(access(path, F_OK), 0);
    snprintf(line, sizeof line, "%s.part", path);
    assert_int_not_equal(access(line, F_OK), 0);
    answer(&second.base);
    assert_int_equal(run("export|sim_1|-o|/nowhere/x"), EXIT_FAILED);
    HAS(err, "cannot write /nowhere/x: No such file");
    assert_int_equal(run("export|sim_1|-o|/dev/full"), EXIT_FAILED);
    HAS(err, "cannot write /dev/full: No space left");
    assert_int_equal(access("/dev/full", F_OK), 0); /* a device is never removed */
}

static void test_character_changes(void **state)
{
    (void) state;
    Novelengine__V1__Character made = NOVELENGINE__V1__CHARACTER__INIT;
    made.character_id = "medic";
    answer(&made.base);
    char path[] = "/tmp/novelctl-test-XXXXXX", line[256];
    int fd = mkstemp(path);
    static const char text[] =
        "{\"character_id\": \"medic\", \"name\": \"Noor\", \"etag\": \"old\"}";
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    snprintf(line, sizeof line, "characters|create|%s|--set|persona.age=40", path);
    assert_int_equal(run(line), EXIT_OK);
    assert_string_equal(out, "medic created\n");
    Novelengine__V1__CreateCharacterRequest *r =
        novelengine__v1__create_character_request__unpack(NULL, asked_size, asked_bytes);
    assert_string_equal(r->character->name, "Noor");
    assert_string_equal(r->character->etag, "");
    assert_int_equal(r->character->persona->age, 40);
    novelengine__v1__create_character_request__free_unpacked(r, NULL);

    snprintf(line, sizeof line, "characters|update|medic|%s|--set|persona.age=40|--etag|e1", path);
    assert_int_equal(run(line), EXIT_OK);
    Novelengine__V1__UpdateCharacterRequest *u =
        novelengine__v1__update_character_request__unpack(NULL, asked_size, asked_bytes);
    assert_int_equal(u->update_mask->n_paths, 2);
    assert_string_equal(u->update_mask->paths[0], "name");
    assert_string_equal(u->update_mask->paths[1], "persona.age");
    assert_string_equal(u->character->etag, "e1");
    novelengine__v1__update_character_request__free_unpacked(u, NULL);
    unlink(path);

    assert_int_equal(run("characters|update|medic"), EXIT_USAGE);
    assert_int_equal(run("characters|update|medic|--set|nmae=x"), EXIT_USAGE);
    HAS(err, "--set nmae=x: Character has no field 'nmae'");
    assert_int_equal(run("characters|create|/nowhere/x"), EXIT_USAGE);
    HAS(err, "cannot read /nowhere/x");
}

static int done(void **state)
{
    (void) state;
    free(asked_bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_exit_codes_and_advice),
        cmocka_unit_test(test_violations_are_listed),
        cmocka_unit_test(test_simulate),
        cmocka_unit_test(test_simulations_that_end_otherwise),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_pages_end_at_the_limit),
        cmocka_unit_test(test_story_and_export),
        cmocka_unit_test(test_character_changes),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
