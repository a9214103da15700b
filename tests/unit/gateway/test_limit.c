/* Requests a client may make. */
#include "tests/unit/gateway/support.h"

#include <pthread.h>

#include "gateway/limit.h"
#include "rpc/base/map.h"

#define SECOND UINT64_C(1000000000)

static uint64_t client(int n)
{
    return map_hash(&n, sizeof n);
}

static void lets_through_what_the_rate_and_burst_say(void **state)
{
    (void) state;
    struct limit l;
    assert_int_equal(limit_init(&l, 10, 5), 0);
    uint64_t now = 1000 * SECOND;
    for (uint32_t i = 0; i < 5; i++) {
        struct limit_verdict v = limit_take(&l, client(1), now);
        assert_true(v.allowed);
        assert_int_equal(v.remaining, 4 - i);
    }
    struct limit_verdict refused = limit_take(&l, client(1), now);
    assert_false(refused.allowed);
    assert_int_equal(refused.retry_s, 1);
    assert_true(limit_take(&l, client(2), now).allowed); /* another's share */
    for (int i = 1; i <= 20; i++) {                      /* then one each tenth of a second */
        now += SECOND / 10;
        assert_true(limit_take(&l, client(1), now).allowed);
        assert_false(limit_take(&l, client(1), now).allowed);
    }
    now += 10 * SECOND; /* a rest gives the burst back, and no more */
    uint32_t allowed = 0;
    for (int i = 0; i < 100; i++)
        allowed += limit_take(&l, client(1), now).allowed;
    assert_int_equal(allowed, 5);
    limit_done(&l);
}

static void no_limit_refuses_nobody(void **state)
{
    (void) state;
    struct limit l;
    assert_int_equal(limit_init(&l, 0, 0), 0);
    for (int i = 0; i < 1000; i++)
        assert_true(limit_take(&l, client(1), SECOND).allowed);
    limit_done(&l);
}

/* However many there are, nobody is refused a first request for what others did. */
static void a_crowd_hurts_nobody(void **state)
{
    (void) state;
    struct limit l;
    assert_int_equal(limit_init(&l, 1, 1), 0);
    for (int i = 0; i < 200000; i++)
        assert_true(limit_take(&l, client(i), SECOND).allowed || i > 0);
    size_t refused = 0;
    for (int i = 0; i < 1000; i++)
        refused += !limit_take(&l, client(i), SECOND + 1000).allowed;
    assert_true(refused > 900); /* those who came first are known */
    limit_done(&l);
}

static struct limit shared;
static void *take_many(void *arg)
{
    size_t *allowed = arg;
    for (int i = 0; i < 20000; i++)
        *allowed += limit_take(&shared, client(7), 5 * SECOND).allowed;
    return NULL;
}

static void threads_never_give_more_than_the_burst(void **state)
{
    (void) state;
    pthread_t threads[4];
    size_t allowed[4] = { 0 }, sum = 0;
    assert_int_equal(limit_init(&shared, 1000, 1000), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_many, &allowed[i]), 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        sum += allowed[i];
    }
    assert_int_equal(sum, 1000);
    limit_done(&shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lets_through_what_the_rate_and_burst_say),
        cmocka_unit_test(no_limit_refuses_nobody),
        cmocka_unit_test(a_crowd_hurts_nobody),
        cmocka_unit_test(threads_never_give_more_than_the_burst),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
