/* heads — prints the engine's ABI, the digest of the frozen pack's image and the heads of fifty
 * stories. Built by determinism.sh with every compiler; nothing of its output may depend on which.
 */
#include <stdio.h>
#include <string.h>
#include "server/engine/nvl.h"

static char text[16][64 * 1024];

static int run(const struct nvl_pack *pack, unsigned n)
{
    static const char *const ids[] = { "pilot",    "scientist", "engineer",
                                       "smuggler", "test",      "stranger" };
    static const char *const skills[] = { "piloting", "research",  "engineering",
                                          "stealth",  "diplomacy", "medicine" };
    static const char *const scenarios[] = { "",
                                             "a distress signal from an abandoned mining station",
                                             "a fantasy castle in a storm",
                                             "Rain over the city; Lola is missing. No aliens." };
    static const uint8_t turns[] = { 1, 2, 3, 4, 5, 6, 8, 10, 20, 50 };
    struct nvl_skill skill[6];
    struct nvl_profile cast[6] = { 0 };
    struct nvl_request request = { .turns = turns[n % 10],
                                   .seed = n * 7919 + 1,
                                   .mood = (enum nvl_mood)(n % NVL_MOODS),
                                   .scenario = scenarios[n % 4],
                                   .cast = cast,
                                   .cast_count = 2 + n % 5 };
    for (unsigned i = 0; i < 6; i++) {
        skill[i] = (struct nvl_skill){ skills[i], (int32_t) ((60 + n * 7 + i * 11) % 101) };
        cast[i].id = ids[i], cast[i].role = ids[i], cast[i].skills = &skill[i],
        cast[i].skills_count = 1;
        for (unsigned k = 0; k < NVL_TRAITS; k++)
            cast[i].traits[k] = (int32_t) ((n * 13 + i * 31 + k * 17) % 101);
        for (unsigned k = 0; k < NVL_DRIVES; k++)
            cast[i].drives[k] = (int32_t) ((n * 5 + i * 23 + k * 29) % 101);
    }
    struct nvl_sim *sim;
    if (nvl_open(pack, &request, NULL, NULL, NULL, &sim) != NVL_OK)
        return 1;
    int rc = NVL_OK;
    while (rc == NVL_OK && !nvl_ended(sim))
        rc = nvl_turn(sim, NULL, NULL);
    char hex[65];
    sha256_hex(nvl_head(sim), hex);
    printf("%u %u %s\n", n, nvl_last_sequence(sim), hex);
    nvl_free(sim);
    return rc != NVL_OK;
}
int main(int argc, char **argv)
{
    struct nvl_source sources[16];
    struct nvl_error err;
    struct nvl_pack *pack;
    char hex[65];
    for (int i = 1; i < argc && i <= 16; i++) {
        FILE *f = fopen(argv[i], "rb");
        size_t n = f != NULL ? fread(text[i - 1], 1, sizeof(text[0]), f) : 0;
        if (f == NULL || n == 0 || fclose(f) != 0)
            return 1;
        const char *name = strrchr(argv[i], '/');
        sources[i - 1] = (struct nvl_source){ name != NULL ? name + 1 : argv[i], text[i - 1], n };
    }
    if (nvl_pack_compile(sources, (size_t) argc - 1, NULL, NULL, &err, &pack) != NVL_OK) {
        fprintf(stderr, "%s:%u:%u: %s\n", err.file, err.line, err.column, err.message);
        return 1;
    }
    sha256_hex(nvl_pack_digest(pack), hex);
    printf("abi %u\npack %s\n", NVL_ENGINE_ABI, hex);
    int rc = 0;
    for (unsigned n = 1; n <= 50 && rc == 0; n++)
        rc = run(pack, n);
    nvl_pack_free(pack);
    return rc;
}
