/* pack_read.c — looking things up in an open pack. */
#include "server/engine/pack.h"
#include <string.h>

const uint8_t *nvl_pack_image(const struct nvl_pack *p, size_t *out_size)
{
    *out_size = p->image_size;
    return p->image;
}
const uint8_t *nvl_pack_digest(const struct nvl_pack *p)
{
    return p->digest;
}
const char *nvl_pack_name(const struct nvl_pack *p)
{
    return p->name;
}
size_t nvl_pack_prose_count(const struct nvl_pack *p)
{
    return p->counts[SEC_PROS];
}
const struct nvl_prose *nvl_pack_prose(const struct nvl_pack *p, size_t i)
{
    return i < p->counts[SEC_PROS] ? &p->prose[i] : NULL;
}
size_t nvl_pack_op_count(const struct nvl_pack *p)
{
    return p->counts[SEC_OPER];
}
int nvl_pack_op_find(const struct nvl_pack *p, const char *name)
{
    for (uint32_t i = 0; i < p->counts[SEC_OPER]; i++)
        if (p->ops[i].name[0] == name[0] && strcmp(p->ops[i].name, name) == 0)
            return (int) i;
    return -1;
}
void nvl_pack_op(const struct nvl_pack *p, size_t i, struct nvl_op_info *out)
{
    static const char *const beats[32] = {
        [1] = "setup",
        [2] = "complication",
        [3] = "setup complication",
        [4] = "crisis",
        [5] = "setup crisis",
        [6] = "complication crisis",
        [7] = "setup complication crisis",
        [8] = "climax",
        [9] = "setup climax",
        [10] = "complication climax",
        [11] = "setup complication climax",
        [12] = "crisis climax",
        [13] = "setup crisis climax",
        [14] = "complication crisis climax",
        [15] = "setup complication crisis climax",
        [16] = "resolution",
        [17] = "setup resolution",
        [18] = "complication resolution",
        [19] = "setup complication resolution",
        [20] = "crisis resolution",
        [21] = "setup crisis resolution",
        [22] = "complication crisis resolution",
        [23] = "setup complication crisis resolution",
        [24] = "climax resolution",
        [25] = "setup climax resolution",
        [26] = "complication climax resolution",
        [27] = "setup complication climax resolution",
        [28] = "crisis climax resolution",
        [29] = "setup crisis climax resolution",
        [30] = "complication crisis climax resolution",
        [31] = "setup complication crisis climax resolution",
    };
    const struct pack_op *op = &p->ops[i];
    memset(out, 0, sizeof(*out));
    out->name = op->name, out->family = op->family, out->kind = op->kind;
    out->beats = beats[op->beats & 31] != NULL ? beats[op->beats & 31] : "";
    out->params_count = op->params_count;
    for (unsigned k = 0; k < op->params_count; k++)
        out->params[k] =
            (struct nvl_op_param){ op->params[k].name, op->params[k].sort, op->params[k].hidden };
    for (unsigned k = 0; k < 4; k++)
        if (op->effect_count[k] != PACK_NO_OUTCOME) {
            out->outcomes |= (uint8_t) (1u << (k + 1));
            out->plain[k + 1] = op->plain[k];
        }
}
int nvl_pack_fluent_find(const struct nvl_pack *p, const char *name)
{
    for (uint32_t i = 0; i < p->counts[SEC_FLUE]; i++)
        if (p->fluents[i].name[0] == name[0] && strcmp(p->fluents[i].name, name) == 0)
            return (int) i;
    return -1;
}
size_t nvl_pack_fluent_count(const struct nvl_pack *p)
{
    return p->counts[SEC_FLUE];
}
const char *nvl_pack_fluent_name(const struct nvl_pack *p, size_t i)
{
    return i < p->counts[SEC_FLUE] ? p->fluents[i].name : "";
}
enum nvl_sort nvl_pack_fluent_sort(const struct nvl_pack *p, size_t i)
{
    return i < p->counts[SEC_FLUE] ? (enum nvl_sort) p->fluents[i].value_sort : NVL_SORT_NONE;
}
size_t nvl_pack_name_count(const struct nvl_pack *p, enum nvl_name_kind kind)
{
    static const uint8_t sections[] = {
        SEC_FRAM, SEC_TRUT, SEC_ENDI, SEC_FACT, SEC_CLUE, SEC_GENR, SEC_GOAL
    };
    return p->counts[sections[kind]];
}
const char *nvl_pack_name_at(const struct nvl_pack *p, enum nvl_name_kind kind, size_t i)
{
    if (i >= nvl_pack_name_count(p, kind))
        return "";
    switch (kind) {
    case NVL_NAME_FRAME:
        return p->frames[i].name;
    case NVL_NAME_TRUTH:
        return p->truths[i].name;
    case NVL_NAME_ENDING:
        return p->endings[i].name;
    case NVL_NAME_FACT:
        return p->facts[i].name;
    case NVL_NAME_CLUE:
        return p->clues[i].name;
    case NVL_NAME_GOAL:
        return p->goals[i].name;
    case NVL_NAME_GENRE:
        return p->genres[i];
    }
    return "";
}
const struct pack_word *pack_word_find(const struct pack_word *table, size_t count,
                                       const char *word)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = (low + high) / 2;
        int c = strcmp(table[mid].word, word);
        if (c == 0)
            return &table[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}
