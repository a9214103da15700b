/* profile.c — what a card says of its own: vows, fears and goals that can stand in a sentence. */
#include <string.h>
#include "server/narrator/teller.h"

/* Free text of a card may be quoted as a phrase: one clause, small first letter, no marks of its
 * own. */
static bool phrase_fits(const char *s)
{
    size_t n = strlen(s);
    if (n < 6 || n > 110 || s[0] < 'a' || s[0] > 'z' ||
        strpbrk(s, ".!?;:\"<>{}[]()|@/\\\n") != NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char) s[i] < 0x20 || (unsigned char) s[i] >= 0x80)
            return false;
    return true;
}
static bool has_infinitive(const char *s)
{
    return strncmp(s, "to ", 3) == 0 || strncmp(s, "never ", 6) == 0 || strncmp(s, "not ", 4) == 0;
}
static const char *first_phrase(const struct nvl_strings *list, bool infinitive)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *s = list->items[i];
        bool fits = infinitive ? has_infinitive(s) && strstr(s, "to ") != NULL
                               : strncmp(s, "that ", 5) != 0;
        if (fits && phrase_fits(s))
            return s;
    }
    return NULL;
}
static bool ends_in(const char *word, size_t n, const char *end)
{
    size_t k = strlen(end);
    return n > k && memcmp(word + n - k, end, k) == 0;
}
/* A goal that can follow "to": its first word is a plain verb as far as its form can tell. */
static const char *goal_phrase(const struct nvl_strings *list)
{
    for (size_t i = 0; i < list->count; i++) {
        const char *s = list->items[i];
        size_t n = strcspn(s, " ");
        bool bad = n < 2 || ends_in(s, n, "ing") || ends_in(s, n, "ed") || ends_in(s, n, "ly") ||
                   ends_in(s, n, "ion") || (ends_in(s, n, "s") && !ends_in(s, n, "ss")) ||
                   strncmp(s, "a ", 2) == 0 || strncmp(s, "an ", 3) == 0 ||
                   strncmp(s, "the ", 4) == 0 || strncmp(s, "their ", 6) == 0 || has_infinitive(s);
        if (phrase_fits(s) && !bad)
            return s;
    }
    return NULL;
}
void env_profile(struct teller *t, int16_t who, struct env *env)
{
    if (who < 0 || (size_t) who >= t->cast)
        return;
    const struct nvl_profile *p = nvl_world_profile(t->world, (size_t) who);
    const char *vow = first_phrase(&p->vows, true), *fear = first_phrase(&p->fears, false),
               *goal = goal_phrase(&p->goals);
    env_text(env, "VOW", person_phrase((struct teller *) t, who, vow));
    env_text(env, "FEAR", person_phrase((struct teller *) t, who, fear));
    env_text(env, "GOAL", person_phrase((struct teller *) t, who, goal));
}
