/* edit.c — edits of the contract as the engine and the store take them. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/cards/profile.h"
#include "server/service/inner.h"

static void from_act(const NE(Edit__Act) * act, struct nvl_edit *out)
{
    out->kind = NVL_EDIT_ACT;
    out->actor = act->actor;
    out->name = act->operator_;
    out->targets = (struct nvl_strings) { (const char *const *) act->targets, act->n_targets };
}

bool edit_from(const NE(Edit) * from, struct nvl_edit *out, const char **out_missing)
{
    *out = (struct nvl_edit) { .actor = "", .name = "", .to = "" };
    switch (from->edit_case) {
    case NOVELENGINE__V1__EDIT__EDIT_ACT:
        from_act(from->act, out);
        return true;
    case NOVELENGINE__V1__EDIT__EDIT_WHISPER:
        out->kind = NVL_EDIT_WHISPER;
        out->actor = from->whisper->character;
        out->name = from->whisper->fact;
        out->value = (int32_t) from->whisper->belief;
        return true;
    case NOVELENGINE__V1__EDIT__EDIT_TRAIT:
        out->kind = NVL_EDIT_TRAIT;
        out->actor = from->trait->character;
        out->name = from->trait->trait;
        out->value = from->trait->value;
        return true;
    case NOVELENGINE__V1__EDIT__EDIT_ITEM:
        out->kind = NVL_EDIT_ITEM;
        out->name = from->item->item;
        out->to = from->item->to;
        return true;
    case NOVELENGINE__V1__EDIT__EDIT_INCIDENT:
        out->kind = NVL_EDIT_INCIDENT;
        out->name = from->incident;
        return true;
    case NOVELENGINE__V1__EDIT__EDIT_FORBID:
        out->kind = NVL_EDIT_FORBID;
        out->actor = from->forbid->actor;
        out->name = from->forbid->operator_;
        return true;
    default:
        *out_missing = "edit";
        return false;
    }
}

void edit_field(enum nvl_edit_kind kind, const char *field, char *out, size_t out_size)
{
    static const struct {
        const char *edit, *actor, *name;
    } names[] = {
        [NVL_EDIT_ACT] = { "act", "actor", "operator" },      [NVL_EDIT_WHISPER] = { "whisper", "character", "fact" },
        [NVL_EDIT_TRAIT] = { "trait", "character", "trait" }, [NVL_EDIT_ITEM] = { "item", "to", "item" },
        [NVL_EDIT_INCIDENT] = { "incident", "", "" },         [NVL_EDIT_FORBID] = { "forbid", "actor", "operator" },
        [NVL_EDIT_VETO] = { "veto", "proposal", "proposal" },
    };
    const char *rest = strcmp(field, "actor") == 0  ? names[kind].actor
                       : strcmp(field, "name") == 0 ? names[kind].name
                       : strcmp(field, "value") == 0 && kind == NVL_EDIT_WHISPER ? "belief"
                                                                                 : field;
    snprintf(out, out_size, "%s%s%s", names[kind].edit, rest[0] != '\0' ? "." : "", rest);
}

/* ---- a swap ---- */

static bool no_memory(nrpc_status *st)
{
    error_set(st, ERROR_OUT_OF_MEMORY, "the server is out of memory");
    return false;
}

static bool wrong(nrpc_status *st, const char *prefix, const char *field, const char *id, const char *why)
{
    char path[64];
    snprintf(path, sizeof path, "%s%s", prefix, field);
    error_set_field(st, path, "'%.64s' %s", id, why);
    return false;
}

static bool swap_request(const struct store_row *row, const NE(Edit__SwapCharacter) * swap, struct arena *a,
                         struct store_bytes *out)
{
    ProtobufCAllocator allocator = contract_allocator(a);
    NE(SimulationRequest) *r =
        novelengine__v1__simulation_request__unpack(&allocator, row->request.size, row->request.data);
    if (r == NULL)
        return false;
    for (size_t i = 0; i < r->n_character_names; i++)
        if (strcmp(r->character_names[i], swap->out) == 0)
            r->character_names[i] = swap->in;
    if (r->telling != NULL && strcmp(r->telling->focaliser, swap->out) == 0)
        r->telling->focaliser = swap->in;
    size_t size = protobuf_c_message_get_packed_size(&r->base);
    uint8_t *bytes = arena_get(a, size);
    if (bytes != NULL)
        protobuf_c_message_pack(&r->base, bytes);
    *out = (struct store_bytes) { bytes, size };
    return bytes != NULL;
}

static bool swap_header(const struct nvl_header *decoded, const struct nvl_profile *in, size_t place, struct arena *a,
                        struct store_bytes *out, nrpc_status *st)
{
    struct nvl_request request = *nvl_header_request(decoded);
    struct nvl_profile cast[NVL_CAST_MAX];
    CHECK(request.cast_count <= NVL_CAST_MAX);
    memcpy(cast, request.cast, request.cast_count * sizeof cast[0]);
    cast[place] = *in;
    request.cast = cast;
    struct buf bytes = { 0 };
    struct nvl_error err = { 0 };
    uint8_t hash_0[SHA256_SIZE];
    int rc = nvl_header_encode(&request, nvl_header_pack_digest(decoded), &bytes, hash_0, &err);
    uint8_t *copy = rc == NVL_OK && !bytes.failed ? arena_copy(a, bytes.data, bytes.size) : NULL;
    *out = (struct store_bytes) { copy, bytes.size };
    buf_done(&bytes);
    if (rc == NVL_E_INVALID)
        error_set_field(st, err.field, "%s", err.message);
    else if (copy == NULL)
        no_memory(st);
    return copy != NULL;
}

static bool find_places(const struct nvl_request *r, const NE(Edit__SwapCharacter) * swap, const char *prefix,
                        size_t *out_place, nrpc_status *st)
{
    *out_place = r->cast_count;
    for (size_t i = 0; i < r->cast_count; i++) {
        if (strcmp(r->cast[i].id, swap->in) == 0)
            return wrong(st, prefix, "in", swap->in, "takes part already");
        if (strcmp(r->cast[i].id, swap->out) == 0)
            *out_place = i;
    }
    return *out_place < r->cast_count || wrong(st, prefix, "out", swap->out, "does not take part");
}

bool edit_swap(const struct store_row *row, const NE(Edit__SwapCharacter) * swap, const struct catalogue *k,
               const char *prefix, struct arena *a, struct store_bytes *out_request, struct store_bytes *out_header,
               nrpc_status *st)
{
    struct nvl_header *decoded = NULL;
    struct nvl_profile in;
    size_t place;
    int rc = nvl_header_decode(row->header.data, row->header.size, &decoded);
    if (rc == NVL_E_NOMEM)
        return no_memory(st);
    if (rc != NVL_OK) {
        error_set(st, ERROR_STORE_FAILED, "the simulation's header cannot be read");
        return false;
    }
    const struct character *card = catalogue_find(k, swap->in);
    bool ok = find_places(nvl_header_request(decoded), swap, prefix, &place, st);
    if (ok && card == NULL)
        ok = wrong(st, prefix, "in", swap->in, "is no character");
    if (ok && (profile_make(card->message, k, a, &in) < 0 || !swap_request(row, swap, a, out_request)))
        ok = no_memory(st);
    ok = ok && swap_header(decoded, &in, place, a, out_header, st);
    nvl_header_free(decoded);
    return ok;
}
