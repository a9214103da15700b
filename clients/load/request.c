#include "clients/load/request.h"

#include <string.h>

#include "rpc/base/check.h"

const char *const request_cast[REQUEST_CAST] = { "engineer", "pilot", "scientist" };

static const struct request health = { REQUEST_HEALTH, "/health", "GetHealth", NULL };
static const struct request characters = { REQUEST_CHARACTERS, "/characters", "ListCharacters",
                                           NULL };
static const struct request engineer = { REQUEST_CHARACTER, "/characters/engineer", "GetCharacter",
                                         "engineer" };
static const struct request pilot = { REQUEST_CHARACTER, "/characters/pilot", "GetCharacter",
                                      "pilot" };
static const struct request scientist = { REQUEST_CHARACTER, "/characters/scientist",
                                          "GetCharacter", "scientist" };
static const struct request simulation = { REQUEST_SIMULATION, "/simulations", "RunSimulation",
                                           NULL };
static const struct request stream = { REQUEST_STREAM, "/simulations:stream", "StreamSimulation",
                                       NULL };

/* Some requests stand alone and in a group: the groups hold pointers into these. */
static const struct request *const all_health[] = { &health };
static const struct request *const all_characters[] = { &characters };
static const struct request *const all_engineer[] = { &engineer };
static const struct request *const all_pilot[] = { &pilot };
static const struct request *const all_scientist[] = { &scientist };
static const struct request *const all_details[] = { &engineer, &pilot, &scientist };
static const struct request *const all_mixed[] = { &health, &characters, &engineer, &pilot,
                                                   &scientist };
static const struct request *const all_simulation[] = { &simulation };
static const struct request *const all_stream[] = { &stream };

#define ENDPOINT(name, words, list)                                                                \
    {                                                                                              \
        name, words, list, ARRAY_SIZE(list)                                                        \
    }
const struct endpoint endpoint_health = ENDPOINT("/health", "health", all_health);
const struct endpoint endpoint_characters = ENDPOINT("/characters", "characters", all_characters);
const struct endpoint endpoint_engineer =
    ENDPOINT("/characters/engineer", "engineer", all_engineer);
const struct endpoint endpoint_pilot = ENDPOINT("/characters/pilot", "pilot", all_pilot);
const struct endpoint endpoint_scientist =
    ENDPOINT("/characters/scientist", "scientist", all_scientist);
const struct endpoint endpoint_details = ENDPOINT("/characters/{id}", "details", all_details);
const struct endpoint endpoint_mixed = ENDPOINT("all five in turn", "mixed", all_mixed);
const struct endpoint endpoint_simulation = ENDPOINT("/simulations", "simulation", all_simulation);
const struct endpoint endpoint_stream = ENDPOINT("/simulations:stream", "stream", all_stream);

static const struct endpoint *const by_words[] = { &endpoint_health,  &endpoint_characters,
                                                   &endpoint_details, &endpoint_engineer,
                                                   &endpoint_pilot,   &endpoint_scientist,
                                                   &endpoint_mixed };

const struct endpoint *endpoint_find(const char *words)
{
    for (size_t i = 0; i < ARRAY_SIZE(by_words); i++)
        if (strcmp(by_words[i]->words, words) == 0)
            return by_words[i];
    return NULL;
}

const char *endpoint_list(void)
{
    return "health, characters, details, engineer, pilot, scientist, mixed";
}
