#include "clients/load/original.h"

#include <string.h>

#include "rpc/base/check.h"

const char original_resources[] = "61 MB, at most 1.5 % CPU";
const char original_verdict[] = "83.3 of 100: conditional go";

static const struct {
    const char *section, *endpoint;
    unsigned users;
    const char *figure;
} figures[] = {
    { "baseline", "/health", 1, "avg 14.4 ms, p95 268.1 ms" },
    { "baseline", "/characters", 1, "avg 1.0 ms, p95 1.4 ms" },
    { "baseline", "/characters/engineer", 1, "100 % errors" },
    { "baseline", "/characters/pilot", 1, "100 % errors" },
    { "baseline", "/characters/scientist", 1, "100 % errors" },
    { "load", "/health", 10, "89.5/s, avg 4.0 ms" },
    { "load", "/health", 25, "222.3/s, avg 6.7 ms" },
    { "load", "/health", 50, "445.9/s, avg 8.3 ms" },
    { "stress", "/health", 15, "134.0/s, avg 4.4 ms" },
    { "stress", "/health", 30, "267.8/s, avg 6.6 ms" },
    { "stress", "/health", 45, "399.9/s, avg 8.3 ms" },
    { "stress", "/health", 60, "532.2/s, avg 9.8 ms" },
    { "stress", "/health", 75, "665.0/s, avg 9.6 ms" },
    { "stress", "/characters", 15, "133.2/s, avg 7.3 ms" },
    { "stress", "/characters", 30, "264.6/s, avg 9.9 ms" },
    { "stress", "/characters", 45, "401.2/s, avg 8.7 ms" },
    { "stress", "/characters", 60, "534.0/s, avg 10.2 ms" },
    { "stress", "/characters", 75, "608.9/s, avg 20.8 ms" },
    { "simulations", "/simulations", 3, "0 % success (404), 2.66 s" },
    { "simulations", "/simulations", 5, "0 % success (404), 2.70 s" },
    { "simulations", "/simulations", 8, "0 % success (404), 2.76 s" },
};

const char *original_figure(const struct row *row)
{
    /* It had one door, and users that paused about 100 ms; other rows are not comparable. */
    bool timed = strcmp(row->section, "load") == 0 || strcmp(row->section, "stress") == 0;
    if (strcmp(row->door, "http") != 0 || row->rate_wanted > 0 ||
        (timed && (row->think_ms < 90 || row->think_ms > 110)))
        return "";
    for (size_t i = 0; i < ARRAY_SIZE(figures); i++)
        if (figures[i].users == row->users && strcmp(figures[i].section, row->section) == 0 &&
            strcmp(figures[i].endpoint, row->endpoint) == 0)
            return figures[i].figure;
    return "";
}

const char *original_readiness(const char *component)
{
    static const char *const known[][2] = {
        { "Health", "0 % errors, 665 req/s" },       { "Character list", "0 % errors, 609 req/s" },
        { "Character details", "100 % errors" },     { "Story generation", "0 % success (404)" },
        { "Resources", "61 MB, at most 1.5 % CPU" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(known); i++)
        if (strcmp(known[i][0], component) == 0)
            return known[i][1];
    return "";
}
