/* Who may return windows how often: honest habits pass for ever, a window opened by crumbs ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#include "rpc/base/check.h"
#include "rpc/h2/shield.h"

enum { ROUNDS = 20000 };

static void test_habits(void **state)
{
    (void) state;
    static const struct {
        const char *name;
        uint64_t sent; /* bytes of DATA a round */
        bool whole;
        unsigned received; /* DATA frames that came in a round */
        unsigned updates;  /* WINDOW_UPDATEs that came */
        bool honest;
    } habits[] = {
        { "a message, a pair", 110, true, 0, 2, true },
        { "full frames", 16384, false, 0, 4, true },
        { "8 KiB", 8192, false, 0, 2, true },
        { "three answers in a frame, a pair with each request", 60, true, 3, 6, true },
        { "a window of 1", 1, false, 0, 2, false },
        { "a window of 1000", 1000, false, 0, 2, false },
        { "nothing was sent", 0, false, 0, 1, false },
        { "more than a pair each", 110, true, 0, 3, false },
    };
    for (size_t i = 0; i < ARRAY_SIZE(habits); i++) {
        struct h2_shield s;
        h2_shield_init(&s, 1);
        bool good = true;
        int rounds = 0;
        for (; good && rounds < ROUNDS; rounds++) {
            for (unsigned k = 0; k < habits[i].received; k++)
                h2_shield_received(&s);
            h2_shield_sent(&s, habits[i].sent, habits[i].whole);
            for (unsigned k = 0; k < habits[i].updates; k++)
                good = h2_shield_window_update(&s, 1) && good;
        }
        if (good != habits[i].honest || (!good && s.why != H2_ABUSE_WINDOW_UPDATE))
            fail_msg("%s: %s after %d", habits[i].name, good ? "passes" : "ends", rounds);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(test_habits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
