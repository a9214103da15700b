/* novel-metrics-speech.c — who says what in a telling: the words between quotation marks, given to
 * the actor of the events that the sentence tells. */
#include <string.h>
#include "server/tools/novel-metrics-graph.h"

/* The one actor of what the sentence tells; -1 when there is none, or more than one. */
static int actor_of(const struct metrics_played *p, const struct nvl_sentence *x, unsigned cast)
{
    int actor = -1;
    for (size_t i = 0; i < x->events_count; i++) {
        if (x->events[i] < 1 || x->events[i] > p->count)
            continue;
        unsigned who = p->events[x->events[i] - 1].actor;
        if (who >= cast || (actor >= 0 && actor != (int) who))
            return -1;
        actor = (int) who;
    }
    return actor;
}
/* Length of the quotation mark at text[i], else 0. */
static size_t quote_at(const char *text)
{
    if (text[0] == '"')
        return 1;
    return memcmp(text, "\xe2\x80\x9c", strnlen(text, 3)) == 0 ||
                   memcmp(text, "\xe2\x80\x9d", strnlen(text, 3)) == 0
               ? strnlen(text, 3)
               : 0;
}
/* Goes on with `inside` from the sentence before: a speech may have several. */
static bool count_quoted(const char *text, bool inside, struct voice *v)
{
    size_t start = 0, i = 0, n;
    for (; text[i] != 0; i += n > 0 ? n : 1) {
        n = quote_at(text + i);
        if (n == 0)
            continue;
        if (inside && v != NULL)
            voice_count(v, text + start, i - start);
        inside = !inside;
        start = i + n;
    }
    if (inside && v != NULL)
        voice_count(v, text + start, i - start);
    return inside;
}
void log_speech_measure(const struct metrics_played *p, unsigned cast,
                        struct voice out[static NVL_CAST_MAX])
{
    for (size_t i = 0; i < p->story->passages_count; i++) {
        bool inside = false;
        for (size_t k = 0; k < p->story->passages[i].sentences_count; k++) {
            const struct nvl_sentence *x = &p->story->passages[i].sentences[k];
            int who = actor_of(p, x, cast);
            inside =
                count_quoted(x->text, inside && !x->paragraph_start, who >= 0 ? &out[who] : NULL);
        }
    }
}
