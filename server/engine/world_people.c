/* world_people.c — who is in a story, and what the frame's own people are called. */
#include "server/engine/world_build.h"
#include <stdio.h>
#include <string.h>

static const char *pronoun_of(const char *s)
{
    static const char *const known[] = { "he", "she", "it" };
    for (int i = 0; i < 3; i++)
        if (strcmp(s, known[i]) == 0 ||
            (strncmp(s, known[i], strlen(known[i])) == 0 && s[strlen(known[i])] == '/'))
            return known[i];
    return "they";
}
/* "Dr. Maya Patel" -> "Maya"; an id like "deck_hand" -> "Deck Hand". */
static void name_cast(struct building *b, struct nvl_entity *e, const struct nvl_profile *p)
{
    char name[NVL_CANONICAL_MAX];
    ground_clean(p->name[0] != 0 ? p->name : p->id, name, 256);
    size_t start = strspn(name, " "), n = strlen(name);
    while (n > start && name[n - 1] == ' ')
        name[--n] = 0;
    if (n == start || p->name[0] == 0) {
        snprintf(name, sizeof(name), "%s", p->id);
        start = 0;
        for (size_t i = 0; name[i] != 0; i++) {
            if (name[i] == '_' || (unsigned char) name[i] < 0x20 ||
                strchr("<>{}[]$`%\\", name[i]) != NULL)
                name[i] = ' ';
            if ((i == 0 || name[i - 1] == ' ') && name[i] >= 'a' && name[i] <= 'z')
                name[i] = (char) (name[i] - 'a' + 'A');
        }
    }
    e->name = build_keep(b, name + start);
    const char *word = e->name, *space;
    while ((space = strchr(word, ' ')) != NULL && space > word && space[-1] == '.')
        word = space + 1;
    space = strchr(word, ' ');
    size_t size = space != NULL ? (size_t) (space - word) : strlen(word);
    char *brief = arena_strndup(&b->w->arena, word, size);
    b->nomem |= brief == NULL;
    e->brief = brief != NULL && size > 0 ? brief : e->name;
    e->proper = true;
    e->pronouns = pronoun_of(p->pronouns);
}
/* "aliens" -> "alien": the noun's text with its head in the singular. */
static const char *build_singular(struct building *b, const struct ground_noun *n)
{
    char text[sizeof(n->text) + sizeof(n->head)];
    const char *last = strrchr(n->text, ' ');
    size_t before = last != NULL ? (size_t) (last + 1 - n->text) : 0;
    memcpy(text, n->text, before);
    memcpy(text + before, n->head, strlen(n->head) + 1);
    return build_keep(b, text);
}
/* Words that settle how somebody is spoken of. */
static const char *pronoun_of_head(const char *head)
{
    static const char *const he[] = { "king",    "prince", "priest", "monk",  "man",   "boy",
                                      "father",  "lord",   "duke",   "baron", "uncle", "brother",
                                      "husband", "son",    "abbot",  "wizard" },
                             *const she[] = { "queen", "princess", "widow",  "woman",
                                              "girl",  "nun",      "witch",  "mother",
                                              "lady",  "duchess",  "aunt",   "sister",
                                              "wife",  "daughter", "abbess", "bride" },
                             *const it[] = { "ghost",   "robot", "android", "alien",
                                             "machine", "ai",    "dragon",  "golem" };
    for (size_t i = 0; i < sizeof(he) / sizeof(he[0]); i++)
        if (strcmp(he[i], head) == 0)
            return "he";
    for (size_t i = 0; i < sizeof(she) / sizeof(she[0]); i++)
        if (strcmp(she[i], head) == 0)
            return "she";
    for (size_t i = 0; i < sizeof(it) / sizeof(it[0]); i++)
        if (strcmp(it[i], head) == 0)
            return "it";
    return NULL;
}
/* Somebody of the frame.  A class whose names are proper is a person whom nobody knows yet; one
 * whose names are plain words ("harbour master") is known by what they are, and the user's word
 * for such a one takes the place of ours.  A class named "beast" is an animal first. */
static void add_person(struct building *b, uint32_t i)
{
    struct nvl_world *w = b->w;
    const struct pack_person *p = &w->pack->persons[i];
    static const char *const pronouns[] = { "she", "he", "they" };
    unsigned c = w->counts[NVL_SORT_CHAR];
    struct nvl_entity *e = build_add(b, NVL_SORT_CHAR, p->role, p->role, p->klass);
    build_set_name(e, build_genre_name(b, p->klass, 100 + i));
    bool beast = strcmp(p->klass, "beast") == 0;
    struct ground_noun *n = build_take_noun(b, beast ? WORD_BEAST : WORD_PERSON, false);
    if (n != NULL && build_is_gone(n->text) && strcmp(p->klass, "victim") != 0)
        n = NULL; /* "the late duke" cannot come in */
    if (n != NULL && n->plural && !e->proper && !beast && strcmp(p->klass, "stray") != 0)
        n = NULL; /* "the passengers" are nobody in particular */
    e->brief = e->name;
    if (beast && n == NULL) { /* what hunts may also be something made, or something dead */
        struct ground_noun *other = build_take_noun(b, WORD_PERSON, false);
        const char *as = other != NULL ? pronoun_of_head(other->head) : NULL;
        n = as != NULL && strcmp(as, "it") == 0 ? other : NULL;
    }
    if (e->proper) {
        e->pronouns = pronouns[draw(b, DRAW_PERSON, 50 + i, 3)];
        if (n != NULL) {
            e->kind = build_keep(b, n->text), e->from_user = true, n->used = true;
            if (n->proper)
                e->name = e->brief = e->kind;
        }
    } else {
        e->plural = false;
        if (n != NULL) {
            build_set_user_name(b, e, n);
            if (n->plural && !n->proper) { /* one of them */
                e->name = build_singular(b, n);
                e->plural = false;
            }
            e->brief = e->name;
        }
        e->kind = e->proper ? p->klass : e->name;
        e->pronouns = pronouns[draw(b, DRAW_PERSON, 50 + i, 2)];
        if (beast && (n == NULL || n->kind == WORD_BEAST))
            e->pronouns = "it";
    }
    const char *told = n != NULL ? pronoun_of_head(n->head) : NULL;
    e->pronouns = told != NULL ? told : e->pronouns;
    for (unsigned k = 0; k < NVL_TRAITS; k++)
        w->traits[c * NVL_TRAITS + k] = (uint8_t) (25 + draw(b, DRAW_PERSON, i * 32 + k, 51));
    for (unsigned k = 0; k < NVL_DRIVES; k++)
        w->drives[c * NVL_DRIVES + k] = (uint8_t) (25 + draw(b, DRAW_PERSON, i * 32 + 16 + k, 51));
}
/* "[prize]" in a text of the frame is what that role is called here: "the logbook", "Vera". */
static const struct nvl_entity *role_find(const struct building *b, const char *role, size_t n)
{
    const struct nvl_world *w = b->w;
    if (n == 7 && memcmp(role, "culprit", n) == 0)
        return &w->entities[NVL_SORT_CHAR][world_culprit(b)];
    static const uint8_t sorts[] = { NVL_SORT_CHAR, NVL_SORT_ITEM, NVL_SORT_PLACE };
    for (size_t s = 0; s < 3; s++)
        for (unsigned i = 0; i < w->counts[sorts[s]]; i++) {
            const struct nvl_entity *e = &w->entities[sorts[s]][i];
            if (strlen(e->id) == n && memcmp(e->id, role, n) == 0)
                return e;
        }
    return NULL;
}
const char *world_words(struct building *b, const char *text)
{
    if (strchr(text, '[') == NULL)
        return text;
    struct buf out = { 0 };
    for (const char *p = text; *p != 0;) {
        const char *close = *p == '[' ? strchr(p, ']') : NULL;
        const struct nvl_entity *e =
            close != NULL ? role_find(b, p + 1, (size_t) (close - p - 1)) : NULL;
        if (e != NULL) {
            buf_printf(&out, "%s%s", e->proper ? "" : "the ", e->proper ? e->brief : e->name);
            p = close + 1;
        } else
            buf_put(&out, p++, 1);
    }
    const char *s = out.failed ? "" : build_keep(b, buf_str(&out));
    b->nomem |= out.failed;
    buf_done(&out);
    return s;
}
void world_people(struct building *b)
{
    struct nvl_world *w = b->w;
    const struct nvl_request *q = w->request;
    for (size_t i = 0; i < q->cast_count; i++) {
        const struct nvl_profile *p = &q->cast[i];
        struct nvl_entity *e = build_add(b, NVL_SORT_CHAR, p->id, p->id, p->role);
        name_cast(b, e, p);
        e->kind = build_renamed(b, "role", p->role, 600 + (unsigned) i);
        e->detail = p->rank;
        for (int k = 0; k < NVL_TRAITS; k++)
            w->traits[i * NVL_TRAITS + (size_t) k] = (uint8_t) p->traits[k];
        for (int k = 0; k < NVL_DRIVES; k++)
            w->drives[i * NVL_DRIVES + (size_t) k] = (uint8_t) p->drives[k];
    }
    for (uint32_t i = 0; i < w->pack->counts[SEC_PERS]; i++)
        if (w->pack->persons[i].frame == w->frame && w->counts[NVL_SORT_CHAR] < WORLD_CHARS_MAX)
            add_person(b, i);
}
