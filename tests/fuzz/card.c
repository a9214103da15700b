/* A character card, and what the engine makes of it: a card that is read is a request's member. */
#include "server/cards/profile.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct card_error err = { 0 };
    NE(Character) *c = NULL;
    arena_init(&a, 4096);
    if (card_parse("fuzz.md", "fuzz", data, size, &a, &c, &err) == 0) {
        struct nvl_profile profile;
        CHECK(c != NULL);
        size_t packed = protobuf_c_message_get_packed_size(&c->base);
        uint8_t *bytes = alloc_get(packed);
        CHECK(bytes != NULL && protobuf_c_message_pack(&c->base, bytes) == packed);
        struct character *again = character_unpack(bytes, packed);
        CHECK(again != NULL);
        CHECK(profile_make(again->message, NULL, &a, &profile) == 0);
        character_unref(again);
        alloc_free(bytes);
    } else {
        CHECK(c == NULL && err.line >= 0 && err.message[0] != '\0');
    }
    arena_done(&a);
    return 0;
}
