#include "server/jobs/tell.h"

#include <stdio.h>
#include <string.h>

#include "rpc/base/alloc.h"
#include "rpc/base/check.h"

static const PB(Value) * constraint(const NE(SimulationRequest) * r, const char *key)
{
    for (size_t i = 0; r->constraints != NULL && i < r->constraints->n_fields; i++)
        if (strcmp(r->constraints->fields[i]->key, key) == 0)
            return r->constraints->fields[i]->value;
    return NULL;
}

struct nvl_telling tell_from_request(const NE(SimulationRequest) * r)
{
    struct nvl_telling t = { 0 };
    if (r->telling != NULL) {
        t.narrative_style = r->telling->narrative_style;
        t.perspective = r->telling->perspective;
        t.focaliser = r->telling->focaliser;
        t.language = r->telling->language;
        t.words = r->telling->words != NULL ? r->telling->words->value : 0;
    }
    if (t.narrative_style == NULL || t.narrative_style[0] == '\0')
        t.narrative_style = r->narrative_style;
    const PB(Value) *perspective = constraint(r, "perspective"),
                    *words = constraint(r, "max_words_per_turn");
    if ((t.perspective == NULL || t.perspective[0] == '\0') && perspective != NULL &&
        perspective->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_STRING_VALUE)
        t.perspective = perspective->string_value;
    if (t.words == 0 && words != NULL &&
        words->kind_case == GOOGLE__PROTOBUF__VALUE__KIND_NUMBER_VALUE &&
        words->number_value >= 1 && words->number_value <= 10000)
        t.at_most = true,
        t.words =
            (uint32_t) words->number_value * (r->turns != NULL ? (uint32_t) r->turns->value : 3);
    return t;
}

/* Decodes the log into *out_events; 0, or NVL_E_NOMEM or NVL_E_CORRUPT. */
static int decode_log(const struct buf *log, struct nvl_event **out_events, size_t *out_count)
{
    size_t count = 0;
    uint32_t size;
    for (size_t at = 0; at < log->size; at += sizeof size + size, count++)
        memcpy(&size, log->data + at, sizeof size);
    struct nvl_event *events = alloc_zero(count, sizeof *events);
    int rc = events == NULL ? NVL_E_NOMEM : NVL_OK;
    count = 0;
    for (size_t at = 0; rc == NVL_OK && at < log->size; at += sizeof size + size) {
        memcpy(&size, log->data + at, sizeof size);
        rc = nvl_event_decode(log->data + at + sizeof size, size, &events[count++]);
    }
    if (rc != NVL_OK) {
        alloc_free(events);
        return rc;
    }
    *out_events = events;
    *out_count = count;
    return NVL_OK;
}

static NE(Passage__Sentence) * make_sentence(const struct nvl_sentence *from, struct arena *a)
{
    NE(Passage__Sentence) *s = arena_get(a, sizeof *s);
    uint64_t *events = arena_zero(a, from->events_count + 1, sizeof *events);
    if (s == NULL || events == NULL)
        return NULL;
    novelengine__v1__passage__sentence__init(s);
    for (size_t i = 0; i < from->events_count; i++)
        events[i] = from->events[i];
    s->text = (char *) from->text;
    s->n_events = from->events_count;
    s->events = events;
    s->n_facts = from->facts_count;
    s->facts = (char **) from->facts;
    s->n_entities = from->entities_count;
    s->entities = (char **) from->entities;
    s->paragraph_start = from->paragraph_start;
    return s;
}

static NE(Passage) * make_passage(const struct nvl_passage *from, struct arena *a)
{
    NE(Passage) *p = arena_get(a, sizeof *p);
    NE(Passage__Sentence) **sentences = arena_zero(a, from->sentences_count + 1, sizeof *sentences);
    if (p == NULL || sentences == NULL)
        return NULL;
    novelengine__v1__passage__init(p);
    p->scene = (int32_t) from->scene;
    p->focaliser = (char *) from->focaliser;
    p->n_sentences = from->sentences_count;
    p->sentences = sentences;
    for (size_t i = 0; i < from->sentences_count; i++)
        if ((sentences[i] = make_sentence(&from->sentences[i], a)) == NULL)
            return NULL;
    return p;
}

/* Packs a message into the arena. */
static int pack(const ProtobufCMessage *m, struct arena *a, struct store_bytes *out)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    uint8_t *bytes = arena_get(a, size);
    if (bytes == NULL)
        return -1;
    *out = (struct store_bytes){ bytes, protobuf_c_message_pack(m, bytes) };
    return 0;
}

/* The passages of a story, without its Markdown; false without memory. */
static bool fill_document(const struct nvl_story *story, struct arena *a, NE(StoryDocument) * doc)
{
    NE(Passage) **passages = arena_zero(a, story->passages_count + 1, sizeof *passages);
    if (passages == NULL)
        return false;
    for (size_t i = 0; i < story->passages_count; i++)
        if ((passages[i] = make_passage(&story->passages[i], a)) == NULL)
            return false;
    novelengine__v1__story_document__init(doc);
    doc->title = (char *) story->title;
    doc->n_passages = story->passages_count;
    doc->passages = passages;
    return true;
}

static int pack_passages(const struct nvl_story *story, NE(Telling) * telling, struct arena *a,
                         struct store_bytes *out)
{
    NE(StoryDocument) doc;
    if (!fill_document(story, a, &doc))
        return -1;
    doc.telling = telling;
    return pack(&doc.base, a, out);
}

static double coverage(const struct nvl_world *world)
{
    size_t count = nvl_world_noun_count(world), placed = 0;
    for (size_t i = 0; i < count; i++) {
        bool there = false;
        (void) nvl_world_noun(world, i, &there);
        placed += there;
    }
    return count == 0 ? 1.0 : (double) placed / (double) count;
}

static int pack_result(const struct tell_in *in, const NE(SimulationRequest) * request,
                       const struct nvl_story *story, size_t events, struct arena *a,
                       struct store_append *w)
{
    char head[65], digest[65], pack_digest[65];
    sha256_hex(in->head, head);
    sha256_hex(w->story_digest, digest);
    sha256_hex(nvl_pack_digest(nvl_world_pack(in->world)), pack_digest);
    NE(StoryMetadata) meta = NOVELENGINE__V1__STORY_METADATA__INIT;
    meta.word_count = (int32_t) story->word_count;
    meta.event_count = (int32_t) events;
    meta.chain_head = head;
    meta.story_digest = digest;
    meta.pack_digest = pack_digest;
    meta.engine_abi = NVL_ENGINE_ABI;
    meta.title = (char *) story->title;
    meta.ending = (char *) story->ending;
    meta.scenario_coverage = coverage(in->world);
    NE(SimulationResult) result = NOVELENGINE__V1__SIMULATION_RESULT__INIT;
    result.n_participants = request->n_character_names;
    result.participants = request->character_names;
    result.turns_executed = w->turns_done;
    /* A clock may stand still between two reads; a duration of nothing would be a lie. */
    result.duration_seconds = (double) (in->duration_us > 0 ? in->duration_us : 1) / 1e6;
    result.simulation_id = (char *) in->simulation_id;
    result.status = "completed";
    /* A fork may go on with another one than its world was drawn with. */
    result.seed = request->seed != NULL ? request->seed->value : nvl_world_seed(in->world);
    result.metadata = &meta;
    return pack(&result.base, a, &w->result);
}

static int tell(const struct tell_in *in, NE(SimulationRequest) * request,
                const struct nvl_event *events, size_t count, struct arena *a,
                struct store_append *w, char *why, size_t why_size)
{
    struct nvl_telling telling = tell_from_request(request);
    struct nvl_story story;
    struct nvl_error err = { 0 };
    int rc = nvl_tell(in->world, events, count, &telling, a, &err, &story);
    if (rc == NVL_E_NOMEM)
        return -1;
    if (rc != NVL_OK) {
        snprintf(why, why_size, "%s%s%s", err.field, err.field[0] != '\0' ? ": " : "", err.message);
        return 1;
    }
    struct buf markdown = { 0 };
    nvl_story_markdown(&story, &markdown);
    uint8_t *text = markdown.failed ? NULL : arena_copy(a, markdown.data, markdown.size);
    w->story = (struct store_bytes){ text, markdown.size };
    buf_done(&markdown);
    if (text == NULL)
        return -1;
    sha256_of(text, w->story.size, w->story_digest);
    if (pack_passages(&story, request->telling, a, &w->passages) < 0 ||
        pack_result(in, request, &story, count, a, w) < 0)
        return -1;
    return 0;
}

int tell_story(const struct tell_in *in, struct arena *a, struct store_append *w, char *why,
               size_t why_size)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(SimulationRequest) *request =
        novelengine__v1__simulation_request__unpack(&allocator, in->request.size, in->request.data);
    size_t count = 0;
    struct nvl_event *events = NULL;
    int rc = request != NULL ? decode_log(in->log, &events, &count) : NVL_E_NOMEM;
    CHECK(rc != NVL_E_CORRUPT); /* what the engine has just encoded, it can decode */
    int r = rc != NVL_OK ? -1 : tell(in, request, events, count, a, w, why, why_size);
    alloc_free(events);
    return r;
}

/* --- again --- */

static struct nvl_telling tell_from_telling(const NE(Telling) * from)
{
    struct nvl_telling t = { 0 };
    if (from == NULL)
        return t;
    t.narrative_style = from->narrative_style;
    t.perspective = from->perspective;
    t.focaliser = from->focaliser;
    t.language = from->language;
    t.words = from->words != NULL ? from->words->value : 0;
    return t;
}

int tell_check(const NE(Telling) * telling, struct nvl_error *err)
{
    struct nvl_telling t = tell_from_telling(telling);
    return nvl_telling_check(&t, err);
}

/* The telling as it was understood: defaults written out, the eyes that were chosen named. */
static void fill_telling(const struct nvl_story *story, const NE(Telling) * asked,
                         NE(Telling) * out, PB(UInt32Value) * words)
{
    novelengine__v1__telling__init(out);
    google__protobuf__uint32_value__init(words);
    out->narrative_style = (char *) nvl_style_name(story->style);
    out->perspective = (char *) nvl_perspective_name(story->perspective);
    out->focaliser = (char *) story->focaliser;
    out->language = asked != NULL && asked->language[0] != '\0' ? asked->language : (char *) "en";
    out->narrator = NOVELENGINE__V1__TELLING__NARRATOR__NARRATOR_BUILTIN;
    words->value = story->words;
    out->words = words;
}

static int pack_again(const struct nvl_story *story, const NE(Telling) * asked, struct arena *a,
                      struct store_bytes *out)
{
    NE(StoryDocument) doc;
    NE(Telling) telling;
    PB(UInt32Value) words;
    struct buf markdown = { 0 };
    nvl_story_markdown(story, &markdown);
    char *text = markdown.failed ? NULL : arena_strndup(a, buf_text(&markdown), markdown.size);
    buf_done(&markdown);
    if (text == NULL || !fill_document(story, a, &doc))
        return NVL_E_NOMEM;
    fill_telling(story, asked, &telling, &words);
    doc.markdown = text;
    doc.telling = &telling;
    return pack(&doc.base, a, out) < 0 ? NVL_E_NOMEM : NVL_OK;
}

/* What a log was played in: its pack, the request of its header.  A chapter's carried state comes
 * with it. */
static int open_world(const struct tell_again_in *in, struct nvl_world **out)
{
    struct nvl_header *header = NULL;
    int rc = nvl_header_decode(in->header.data, in->header.size, &header);
    if (rc == NVL_OK && in->carry.data != NULL)
        rc = nvl_header_set_carry(header, in->carry.data, in->carry.size);
    if (rc == NVL_OK)
        rc = nvl_world_open(in->pack, nvl_header_request(header), NULL, out);
    nvl_header_free(header);
    return rc;
}

int tell_again(const struct tell_again_in *in, const NE(Telling) * telling, struct arena *a,
               struct nvl_error *err, struct store_bytes *out)
{
    struct nvl_world *world = NULL;
    struct nvl_event *events = NULL;
    struct nvl_story story;
    size_t count = 0;
    struct nvl_telling t = tell_from_telling(telling);
    int rc = open_world(in, &world);
    if (rc == NVL_OK)
        rc = decode_log(in->log, &events, &count);
    if (rc == NVL_E_INVALID || rc == NVL_E_PACK)
        rc = NVL_E_CORRUPT; /* of what is stored; the telling has not been looked at yet */
    if (rc == NVL_OK)
        rc = nvl_tell(world, events, count, &t, a, err, &story);
    if (rc == NVL_OK)
        rc = pack_again(&story, telling, a, out);
    alloc_free(events);
    nvl_world_free(world);
    return rc;
}
