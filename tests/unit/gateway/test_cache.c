/* The loop's cache of answers: room, age, tags, and no memory. */
#include "tests/unit/gateway/support.h"

#include "gateway/cache.h"

static void keep(struct cache *c, const char *key, const char *body, const char *tag,
                 uint64_t expires_ns)
{
    const char *tags[] = { tag, "all" };
    const struct cache_item item = { .key = key,
                                     .key_size = strlen(key),
                                     .content_type = "application/json",
                                     .etag = "e",
                                     .body = body,
                                     .body_size = strlen(body),
                                     .tags = tags,
                                     .n_tags = 2,
                                     .expires_ns = expires_ns };
    cache_store(c, &item);
}

static bool holds(struct cache *c, const char *key, const char *body, uint64_t now_ns)
{
    const struct cache_entry *e = cache_find(c, key, strlen(key), now_ns);
    return e != NULL && e->body[0].size == strlen(body) &&
           memcmp(e->body[0].data, body, e->body[0].size) == 0;
}

static void keeps_until_it_is_too_old(void **state)
{
    (void) state;
    struct cache c;
    cache_init(&c, 1 << 20);
    assert_null(cache_find(&c, "/a", 2, 0));
    keep(&c, "/a", "one", "t", 100);
    assert_true(holds(&c, "/a", "one", 99));
    keep(&c, "/a", "two", "t", 200);
    assert_true(holds(&c, "/a", "two", 199));
    assert_null(cache_find(&c, "/a", 2, 200));
    assert_int_equal(c.bytes, 0);
    assert_int_equal(c.hits, 2);
    assert_int_equal(c.misses, 2);
    cache_done(&c);
}

static void what_was_used_longest_ago_makes_room(void **state)
{
    (void) state;
    struct cache c;
    char key[16];
    cache_init(&c, 16384);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "/%d", i);
        keep(&c, key, "body of an answer", "t", UINT64_MAX);
        assert_true(c.bytes <= c.max_bytes);
        assert_true(holds(&c, "/0", "body of an answer", 0)); /* used all the time, so it stays */
        assert_true(holds(&c, key, "body of an answer", 0));
    }
    assert_null(cache_find(&c, "/1", 2, 0));
    assert_true(c.evictions > 900);
    static char large[20000];
    memset(large, 'x', sizeof large - 1);
    keep(&c, "/large", large, "t",
         UINT64_MAX); /* more than all the room: not kept, and nothing goes for it */
    assert_null(cache_find(&c, "/large", 6, 0));
    assert_true(holds(&c, "/0", "body of an answer", 0));
    cache_done(&c);
}

static void forgets_by_any_or_all_tags(void **state)
{
    (void) state;
    struct cache c;
    const char *const both[] = { "red", "all" }, *const either[] = { "red", "blue" };
    cache_init(&c, 1 << 20);
    keep(&c, "/r", "1", "red", UINT64_MAX);
    keep(&c, "/b", "2", "blue", UINT64_MAX);
    keep(&c, "/g", "3", "green", UINT64_MAX);
    uint64_t epoch = c.epoch;
    assert_int_equal(cache_forget(&c, both, 2, true), 1);
    assert_true(c.epoch > epoch);
    assert_int_equal(cache_forget(&c, either, 2, true), 0);
    assert_int_equal(cache_forget(&c, either, 2, false), 1);
    assert_true(holds(&c, "/g", "3", 0));
    assert_int_equal(cache_forget(&c, NULL, 0, false), 1);
    assert_int_equal(c.count, 0);
    assert_int_equal(c.bytes, 0);
    cache_done(&c);
}

static void without_memory_nothing_is_kept(void **state)
{
    (void) state;
    for (uint64_t n = 1; n < 20; n++) {
        struct cache c;
        cache_init(&c, 1 << 20);
        keep(&c, "/old", "old", "t", UINT64_MAX);
        alloc_fail_at(n);
        keep(&c, "/new", "new", "t", UINT64_MAX);
        alloc_fail_at(0);
        assert_true(holds(&c, "/old", "old", 0));
        assert_true(c.count == 1 || holds(&c, "/new", "new", 0));
        cache_done(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_until_it_is_too_old),
        cmocka_unit_test(what_was_used_longest_ago_makes_room),
        cmocka_unit_test(forgets_by_any_or_all_tags),
        cmocka_unit_test(without_memory_nothing_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
