/* Chapters that share memory: the carry pack's bytes, what a world makes of them, what a later
 * chapter does because of them, and the independent checker's word on all that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <dirent.h>
#include "server/engine/edit.h"
#include "server/engine/world.h"
#include "server/tools/novel-verify.h"
#include "tests/unit/narrator/stage.h"

enum { CHAPTERS = 3, TRIES = 120 };
static struct nvl_pack *pack;

struct chapter {
    struct stage_run run;
    struct nvl_request request;
    struct buf carry; /* what it hands on */
};
struct novel {
    struct nvl_profile cast[3];
    struct chapter chapters[CHAPTERS];
    uint8_t digest[CHAPTERS][SHA256_SIZE];
};
static int setup(void **state)
{
    (void) state;
    pack = stage_pack("server/content");
    return pack == NULL;
}
static int teardown(void **state)
{
    (void) state;
    nvl_pack_free(pack);
    return 0;
}
static void follow(struct nvl_request *q, const struct buf *carry, uint8_t digest[SHA256_SIZE])
{
    sha256_of(carry->data, carry->size, digest);
    q->carry = carry->data, q->carry_size = carry->size, q->carry_digest = digest;
}
static void write_log(const struct chapter *c, struct buf *log)
{
    struct buf header = { 0 };
    uint8_t hash[SHA256_SIZE], bytes[NVL_CANONICAL_MAX];
    assert_int_equal(nvl_header_encode(&c->request, nvl_pack_digest(pack), &header, hash, NULL),
                     NVL_OK);
    assert_int_equal(nvl_log_begin(log, header.data, header.size, c->run.world), NVL_OK);
    for (size_t i = 0; i < c->run.count; i++)
        assert_int_equal(nvl_log_event(log, bytes, nvl_event_encode(&c->run.events[i], bytes)),
                         NVL_OK);
    assert_int_equal(nvl_log_end(log, (uint32_t) c->run.count, nvl_head(c->run.sim), NULL), NVL_OK);
    buf_done(&header);
}
static void report_of(const struct buf *log, struct verify_report *report)
{
    assert_int_equal(verify_log_check(log->data, log->size, report), VERIFY_DONE);
}
static void assert_sound(const struct chapter *c)
{
    struct buf log = { 0 }, text = { 0 };
    struct verify_report report;
    write_log(c, &log);
    report_of(&log, &report);
    if (report.violations > 0) {
        verify_report_text(&report, "chapter", &text);
        print_message("%s", buf_str(&text));
    }
    assert_int_equal(report.violations, 0);
    assert_true(report.complete);
    buf_done(&log), buf_done(&text);
}
static void play_chapter(struct novel *n, unsigned k, uint64_t seed, bool with_carry)
{
    static const char *const scenarios[CHAPTERS] = {
        "A distress call from an abandoned mining station", "A theft at the harbour museum",
        "A sabotage of the reactor before the launch"
    };
    struct chapter *c = &n->chapters[k];
    c->request = (struct nvl_request){ .turns = 5,
                                       .seed = seed + k,
                                       .setting = "the outer moons",
                                       .scenario = scenarios[k],
                                       .cast = n->cast,
                                       .cast_count = 3 };
    if (k > 0 && with_carry)
        follow(&c->request, &n->chapters[k - 1].carry, n->digest[k]);
    assert_int_equal(stage_play(pack, &c->request, &c->run), NVL_OK);
    assert_int_equal(nvl_carry_encode(c->run.sim, &c->carry), NVL_OK);
    assert_int_equal(nvl_carry_check(c->carry.data, c->carry.size), NVL_OK);
}
static void begin_novel(struct novel *n)
{
    memset(n, 0, sizeof(*n));
    for (size_t i = 0; i < 3; i++)
        n->cast[i] = *stage_profile(i);
}
static void end_chapter(struct chapter *c)
{
    stage_run_done(&c->run);
    buf_done(&c->carry);
    memset(c, 0, sizeof(*c));
}
static void end_novel(struct novel *n)
{
    for (unsigned k = 0; k < CHAPTERS; k++)
        end_chapter(&n->chapters[k]);
}
static int cell(const struct nvl_world *w, const char *fluent, unsigned a, unsigned b)
{
    int f = nvl_pack_fluent_find(pack, fluent);
    assert_true(f >= 0);
    return nvl_world_cell(w, (size_t) f, a, b);
}
static bool is_past_op(const struct stage_run *run, const struct nvl_event *e)
{
    const char *name = nvl_event_op_name(run->world, e);
    return strcmp(name, "keep_faith") == 0 || strcmp(name, "use_secret") == 0 ||
           strcmp(name, "repay_old") == 0;
}
static const struct nvl_event *past_act(const struct stage_run *run)
{
    for (size_t i = 0; i < run->count; i++)
        if (is_past_op(run, &run->events[i]) && run->events[i].type != NVL_REJECTED)
            return &run->events[i];
    return NULL;
}
/* Something that a chapter begins with is what a character's act rests on: its cause says so. */
static bool names_the_past(const struct stage_run *run, const struct nvl_event *e)
{
    struct nvl_cell info;
    for (unsigned i = 0; i < e->causes_count; i++)
        if (e->causes[i].sequence == 1 &&
            (e->causes[i].kind == NVL_ENABLES || e->causes[i].kind == NVL_INFORMS) &&
            nvl_world_cell_info(run->world, e->causes[i].cell, &info) == NVL_OK) {
            const char *name = nvl_pack_fluent_name(pack, info.fluent);
            if (strcmp(name, "knew") == 0 || strcmp(name, "owed") == 0)
                return true;
        }
    return false;
}

/* Bonds, debts, wounds, secrets and the canon are in the next chapter as they were left. */
static void test_next_chapter_begins_where_this_one_ended(void **state)
{
    (void) state;
    static const char *const bonds[] = {
        "trust", "affection", "respect", "dread", "debt", "grudge"
    };
    unsigned canon = 0, changed = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct novel n;
        begin_novel(&n);
        for (unsigned k = 0; k < CHAPTERS; k++) {
            play_chapter(&n, k, seed * 100, true);
            assert_sound(&n.chapters[k]);
            const struct stage_run *now = &n.chapters[k].run, *was = now - 0;
            const struct nvl_world *w = now->world;
            assert_int_equal(nvl_carry_chapters(w), k);
            assert_int_equal(nvl_world_initial(w)[cell(w, "came_before", 0, 0)], k);
            if (k == 0)
                continue;
            was = &n.chapters[k - 1].run;
            for (unsigned i = 0; i < 6; i++)
                for (unsigned a = 0; a < 3; a++)
                    for (unsigned b = 0; b < 3; b++) {
                        int16_t left = nvl_sim_state(was->sim)[cell(was->world, bonds[i], a, b)];
                        if (a != b)
                            assert_int_equal(nvl_world_initial(w)[cell(w, bonds[i], a, b)], left);
                        changed +=
                            left != nvl_world_initial(was->world)[cell(was->world, bonds[i], a, b)];
                    }
            for (size_t i = 0; i < nvl_canon_count(w); i++) {
                struct nvl_canon f;
                assert_true(nvl_canon_at(w, i, &f));
                assert_true(f.chapter >= 1 && f.chapter <= k);
                assert_string_equal(nvl_world_entity(w, NVL_SORT_FACT, f.fact)->detail, f.clause);
                canon++;
            }
            assert_true(nvl_canon_count(w) > 0);
        }
        end_novel(&n);
    }
    assert_true(canon > 30 && changed > 50);
}
/* Whether what the act of chapter three rests on was so when chapter one ended. */
static bool since_chapter_one(const struct novel *n, const struct nvl_event *e)
{
    const struct stage_run *one = &n->chapters[0].run, *three = &n->chapters[2].run;
    bool repaid = strcmp(nvl_event_op_name(three->world, e), "repay_old") == 0;
    const int16_t *state = nvl_sim_state(one->sim);
    if (repaid)
        return state[cell(one->world, "debt", e->args[0], e->args[1])] >= 10;
    char id[80];
    snprintf(id, sizeof(id), "secret_%s", n->cast[e->args[1]].id);
    for (unsigned f = 0; f < nvl_world_count(one->world, NVL_SORT_FACT); f++)
        if (strcmp(nvl_entity_id(one->world, NVL_SORT_FACT, f), id) == 0)
            return state[cell(one->world, "knows", e->args[0], f)] == NVL_BELIEVES;
    return false;
}
/* Chapter three does what it does because of chapter one.  The same chapter, same seed, without the
 * carry pack does not; nor with one from which just that secret or debt is taken. */
static void forget(const struct buf *carry, struct buf *out)
{
    struct arena arena;
    struct carry c;
    arena_init(&arena, 4096);
    assert_int_equal(carry_decode(carry->data, carry->size, &arena, &c), NVL_OK);
    for (unsigned i = 0; i < c.people_count; i++) {
        c.people[i].secrets_count = 0;
        for (unsigned k = 0; k < c.people[i].relations_count; k++)
            c.people[i].relations[k].axes[CARRY_AXES - 1] = 0;
    }
    assert_int_equal(carry_put(&c, out), NVL_OK);
    arena_done(&arena);
}
static void test_a_carried_fact_decides(void **state)
{
    (void) state;
    unsigned found = 0;
    for (uint64_t seed = 1; seed <= TRIES && found < 3; seed++) {
        struct novel n;
        begin_novel(&n);
        for (unsigned k = 0; k < CHAPTERS; k++)
            play_chapter(&n, k, seed * 100, true);
        const struct nvl_event *e = past_act(&n.chapters[2].run);
        if (e != NULL && since_chapter_one(&n, e)) {
            found++;
            assert_true(names_the_past(&n.chapters[2].run, e));
            assert_sound(&n.chapters[2]);
            end_chapter(&n.chapters[2]);
            play_chapter(&n, 2, seed * 100, false);
            assert_null(past_act(&n.chapters[2].run));
            struct buf less = { 0 };
            forget(&n.chapters[1].carry, &less);
            end_chapter(&n.chapters[2]);
            struct buf kept = n.chapters[1].carry;
            n.chapters[1].carry = less;
            play_chapter(&n, 2, seed * 100, true);
            assert_null(past_act(&n.chapters[2].run));
            assert_sound(&n.chapters[2]);
            buf_done(&kept);
        }
        end_novel(&n);
    }
    assert_int_equal(found, 3);
}
static void test_bytes_are_strict(void **state)
{
    (void) state;
    struct novel n;
    begin_novel(&n);
    play_chapter(&n, 0, 700, true);
    play_chapter(&n, 1, 700, true);
    const struct buf *carry = &n.chapters[1].carry;
    struct arena arena;
    struct carry c;
    struct buf again = { 0 };
    arena_init(&arena, 4096);
    assert_int_equal(carry_decode(carry->data, carry->size, &arena, &c), NVL_OK);
    assert_int_equal(carry_put(&c, &again), NVL_OK);
    assert_int_equal(again.size, carry->size);
    assert_memory_equal(again.data, carry->data, carry->size);
    arena_done(&arena);
    for (size_t cut = 0; cut < carry->size; cut++)
        assert_int_equal(nvl_carry_check(carry->data, cut), NVL_E_CORRUPT);
    buf_putc(&again, 0);
    assert_int_equal(nvl_carry_check(again.data, again.size), NVL_E_CORRUPT);
    buf_done(&again);
    struct nvl_world *world = NULL;
    struct nvl_error err;
    struct nvl_request q = n.chapters[0].request;
    follow(&q, carry, n.digest[2]);
    q.carry = NULL;
    assert_int_equal(nvl_world_open(pack, &q, &err, &world), NVL_E_INVALID);
    assert_string_equal(err.field, "carry");
    q.carry = carry->data, n.digest[2][0] ^= 1;
    assert_int_equal(nvl_world_open(pack, &q, &err, &world), NVL_E_INVALID);
    assert_string_equal(err.field, "carry");
    q.carry_digest = NULL;
    assert_int_equal(nvl_world_open(pack, &q, &err, &world), NVL_E_INVALID);
    uint8_t junk[SHA256_SIZE];
    sha256_of("junk", 4, junk);
    q.carry = "junk", q.carry_size = 4, q.carry_digest = junk;
    assert_int_equal(nvl_world_open(pack, &q, &err, &world), NVL_E_INVALID);
    end_novel(&n);
}
/* Nothing is handed on by what did not end, and the bytes in front are left alone. */
static void test_only_what_completed(void **state)
{
    (void) state;
    struct novel n;
    struct buf out = { 0 };
    struct nvl_sim *sim = NULL;
    begin_novel(&n);
    play_chapter(&n, 0, 9, true);
    buf_puts(&out, "before");
    assert_int_equal(nvl_open(pack, &n.chapters[0].request, NULL, NULL, NULL, &sim), NVL_OK);
    assert_int_equal(nvl_carry_encode(sim, &out), NVL_E_INVALID);
    assert_int_equal(nvl_cancel(sim, NULL, NULL), NVL_OK);
    assert_int_equal(nvl_carry_encode(sim, &out), NVL_E_INVALID);
    assert_int_equal(out.size, 6);
    nvl_free(sim);
    buf_done(&out);
    end_novel(&n);
}
/* A canon fact cannot be whispered away. */
static void test_canon_is_guarded(void **state)
{
    (void) state;
    struct novel n;
    begin_novel(&n);
    play_chapter(&n, 0, 21, true);
    play_chapter(&n, 1, 21, true);
    struct nvl_sim *sim = NULL;
    struct nvl_judgement word;
    struct nvl_error err;
    assert_int_equal(nvl_open(pack, &n.chapters[1].request, NULL, NULL, NULL, &sim), NVL_OK);
    struct nvl_edit edit = {
        .kind = NVL_EDIT_WHISPER, .actor = n.cast[0].id, .name = "canon_1", .value = NVL_DISBELIEVES
    };
    assert_int_equal(nvl_intervene(sim, &edit, NULL, NULL, &word, &err), NVL_OK);
    assert_int_equal(word.verdict, NVL_LAW_REJECTED);
    assert_int_equal(word.codes[0], 0x42);
    nvl_free(sim);
    end_novel(&n);
}
/* What a store keeps, header bytes and carry pack, gives the same chapter again. */
static void test_from_stored_bytes(void **state)
{
    (void) state;
    struct novel n;
    struct buf bytes = { 0 };
    struct nvl_header *header = NULL;
    struct stage_run again;
    uint8_t hash[SHA256_SIZE];
    begin_novel(&n);
    play_chapter(&n, 0, 41, true);
    play_chapter(&n, 1, 41, true);
    struct nvl_request first = n.chapters[1].request;
    first.carry = NULL, first.carry_digest = NULL, first.carry_size = 0;
    assert_int_equal(nvl_header_encode(&first, nvl_pack_digest(pack), &bytes, hash, NULL), NVL_OK);
    assert_null(nvl_header_get_carry(bytes.data, bytes.size));
    assert_int_equal(nvl_header_put_carry(bytes.data, 60, n.digest[1]), NVL_E_CORRUPT);
    assert_int_equal(nvl_header_put_carry(bytes.data, bytes.size, n.digest[1]), NVL_OK);
    assert_memory_equal(nvl_header_get_carry(bytes.data, bytes.size), n.digest[1], SHA256_SIZE);
    assert_int_equal(nvl_header_decode(bytes.data, bytes.size, &header), NVL_OK);
    struct nvl_world *world = NULL;
    assert_int_equal(nvl_world_open(pack, nvl_header_request(header), NULL, &world), NVL_E_INVALID);
    const struct buf *carry = &n.chapters[0].carry;
    assert_int_equal(nvl_header_set_carry(header, carry->data, carry->size - 1), NVL_E_INVALID);
    assert_int_equal(nvl_header_set_carry(header, carry->data, carry->size), NVL_OK);
    assert_int_equal(stage_play(pack, nvl_header_request(header), &again), NVL_OK);
    assert_memory_equal(nvl_head(again.sim), nvl_head(n.chapters[1].run.sim), SHA256_SIZE);
    stage_run_done(&again);
    nvl_header_free(header);
    buf_done(&bytes);
    end_novel(&n);
}
/* The shipped rules and one more operator, by which somebody would come to doubt the canon. */
static const char denial[] = "operator deny_canon\n"
                             "  who A char, F fact\n"
                             "  kind thought\n"
                             "  family doubt\n"
                             "  minutes 5\n"
                             "  source inferred\n"
                             "  need awake(A) = 1; canon(F) >= 1 law E004.1\n"
                             "  ok knows(A, F) = disbelieves\n"
                             "  serves curiosity 1\n"
                             "  beat setup complication crisis climax resolution\n"
                             "  plain ok \"{A} no longer believes it.\"\n";
static struct nvl_pack *pack_with_denial(void)
{
    enum { FILES = 64 };
    struct nvl_source sources[FILES];
    struct nvl_error err;
    struct nvl_pack *out = NULL;
    static struct buf text[FILES];
    static char paths[FILES][300];
    size_t count = 0;
    DIR *d = opendir("server/content/world");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL && count < FILES - 1;) {
        if (e->d_name[0] == '.')
            continue;
        char path[400], part[4096];
        snprintf(path, sizeof(path), "server/content/world/%s", e->d_name);
        snprintf(paths[count], sizeof(paths[0]), "%s", e->d_name);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        for (size_t n; (n = fread(part, 1, sizeof(part), f)) > 0;)
            buf_put(&text[count], part, n);
        fclose(f);
        sources[count] =
            (struct nvl_source){ paths[count], (const char *) text[count].data, text[count].size };
        count++;
    }
    closedir(d);
    sources[count++] = (struct nvl_source){ "zz.tale", denial, sizeof(denial) - 1 };
    int rc = nvl_pack_compile(sources, count, NULL, NULL, &err, &out);
    if (rc != NVL_OK)
        print_message("%s:%u: %s\n", err.file, err.line, err.message);
    assert_int_equal(rc, NVL_OK);
    for (size_t i = 0; i < count - 1; i++)
        buf_done(&text[i]);
    return out;
}
/* An act that would make somebody doubt the canon is rejected by E004.2; the checker agrees. */
static void test_canon_binds_acts(void **state)
{
    (void) state;
    struct nvl_pack *shipped = pack;
    struct novel n;
    unsigned rejected = 0;
    pack = pack_with_denial();
    begin_novel(&n);
    play_chapter(&n, 0, 51, true);
    play_chapter(&n, 1, 51, true);
    int op = nvl_pack_op_find(pack, "deny_canon");
    const struct stage_run *run = &n.chapters[1].run;
    for (size_t i = 0; i < run->count; i++) {
        const struct nvl_event *e = &run->events[i];
        if (e->op != op)
            continue;
        assert_true(e->type == NVL_REJECTED);
        rejected++;
    }
    struct nvl_sim *sim = NULL;
    struct nvl_judgement word;
    struct nvl_error err;
    const char *target = "canon_1";
    struct nvl_edit edit = {
        .kind = NVL_EDIT_ACT, .actor = n.cast[0].id, .name = "deny_canon", .targets = { &target, 1 }
    };
    assert_int_equal(nvl_open(pack, &n.chapters[1].request, NULL, NULL, NULL, &sim), NVL_OK);
    assert_int_equal(nvl_intervene(sim, &edit, NULL, NULL, &word, &err), NVL_OK);
    assert_int_equal(word.verdict, NVL_LAW_REJECTED);
    assert_int_equal(word.codes[0], 0x42);
    nvl_free(sim);
    assert_sound(&n.chapters[1]);
    assert_true(rejected > 0);
    end_novel(&n);
    nvl_pack_free(pack);
    pack = shipped;
}
/* Whatever byte of the carried part of a log is changed, the checker says so. */
static void test_checker_sees_every_change(void **state)
{
    (void) state;
    struct novel n;
    begin_novel(&n);
    play_chapter(&n, 0, 31, true);
    play_chapter(&n, 1, 31, true);
    struct buf log = { 0 };
    struct verify_report report;
    write_log(&n.chapters[1], &log);
    struct nvl_log parts;
    assert_int_equal(nvl_log_open(log.data, log.size, &parts), NVL_OK);
    assert_true(parts.carry.size == n.chapters[0].carry.size);
    size_t first = (size_t) (parts.carry.data - log.data);
    for (size_t i = 0; i < parts.carry.size; i += 1 + i / 12) {
        log.data[first + i] ^= 1;
        report_of(&log, &report);
        assert_true(report.violations > 0);
        log.data[first + i] ^= 1;
    }
    report_of(&log, &report);
    assert_int_equal(report.violations, 0);
    buf_done(&log);
    end_novel(&n);
}
/* A world that was begun with other bonds than the carry pack says is found out, though every
 * digest fits: the log is that of a chapter played without. */
static void test_checker_holds_the_state(void **state)
{
    (void) state;
    struct novel n;
    begin_novel(&n);
    play_chapter(&n, 0, 31, true);
    play_chapter(&n, 1, 31, true);
    struct buf log = { 0 }, header = { 0 }, world = { 0 }, out = { 0 };
    struct nvl_world *bare = NULL;
    struct nvl_request q = n.chapters[1].request;
    struct verify_report report;
    uint8_t hash[SHA256_SIZE];
    assert_int_equal(nvl_header_encode(&q, nvl_pack_digest(pack), &header, hash, NULL), NVL_OK);
    q.carry = NULL, q.carry_digest = NULL, q.carry_size = 0;
    assert_int_equal(nvl_world_open(pack, &q, NULL, &bare), NVL_OK);
    assert_int_equal(nvl_world_encode(bare, &world), NVL_OK);
    write_log(&n.chapters[1], &log);
    struct nvl_log parts;
    assert_int_equal(nvl_log_open(log.data, log.size, &parts), NVL_OK);
    buf_put(&out, log.data, (size_t) (parts.world.data - log.data) - 4);
    uint8_t size[4] = { (uint8_t) world.size, (uint8_t) (world.size >> 8),
                        (uint8_t) (world.size >> 16), (uint8_t) (world.size >> 24) };
    buf_put(&out, size, 4);
    buf_put(&out, world.data, world.size);
    const uint8_t *rest = parts.world.data + parts.world.size;
    buf_put(&out, rest, (size_t) (log.data + log.size - rest));
    report_of(&out, &report);
    bool canon = false;
    for (size_t i = 0; i < report.listed; i++)
        canon |= report.list[i].code == VERIFY_CANON;
    assert_true(canon);
    nvl_world_free(bare);
    buf_done(&log), buf_done(&header), buf_done(&world), buf_done(&out);
    end_novel(&n);
}
/* The first paragraph of a later chapter tells what came before, in every style; it is short and
 * rests on facts alone.  A first chapter has none. */
static void test_previously(void **state)
{
    (void) state;
    unsigned told = 0;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct novel n;
        begin_novel(&n);
        for (unsigned k = 0; k < CHAPTERS; k++) {
            play_chapter(&n, k, seed * 1000, true);
            for (unsigned style = 0; style < NVL_STYLES; style++) {
                struct arena arena;
                struct nvl_story story;
                struct nvl_telling telling = { .narrative_style =
                                                   nvl_style_name((enum nvl_style) style) };
                const struct stage_run *run = &n.chapters[k].run;
                arena_init(&arena, 64 * 1024);
                assert_int_equal(
                    nvl_tell(run->world, run->events, run->count, &telling, &arena, NULL, &story),
                    NVL_OK);
                const struct nvl_sentence *s = story.passages[0].sentences;
                size_t i = 0;
                for (; i < story.passages[0].sentences_count && s[i].events_count == 0; i++) {
                    assert_true(k > 0);
                    assert_true(s[i].facts_count > 0);
                    assert_int_equal(strncmp(s[i].facts[0], "canon_", 6), 0);
                }
                assert_true(i <= 5);
                assert_true(k == 0 || i > 0);
                told += i > 0;
                if (getenv("CARRY_SHOW") != NULL && i > 0) {
                    print_message("%s:", telling.narrative_style);
                    for (size_t x = 0; x < i; x++)
                        print_message(" %s", s[x].text);
                    print_message("\n");
                }
                arena_done(&arena);
            }
        }
        end_novel(&n);
    }
    assert_int_equal(told, 4 * 2 * NVL_STYLES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next_chapter_begins_where_this_one_ended),
        cmocka_unit_test(test_a_carried_fact_decides),
        cmocka_unit_test(test_bytes_are_strict),
        cmocka_unit_test(test_only_what_completed),
        cmocka_unit_test(test_canon_is_guarded),
        cmocka_unit_test(test_checker_sees_every_change),
        cmocka_unit_test(test_checker_holds_the_state),
        cmocka_unit_test(test_previously),
        cmocka_unit_test(test_from_stored_bytes),
        cmocka_unit_test(test_canon_binds_acts),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
