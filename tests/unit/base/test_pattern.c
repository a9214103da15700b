/* rpc/base/pattern: what matches, what does not, what is refused, and that time stays linear. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <regex.h>
#include <cmocka.h>

#include "rpc/base/clock.h"
#include "rpc/base/pattern.h"

static void test_matches(void **state)
{
    (void) state;
    static const struct {
        const char *pattern, *yes, *no; /* texts joined by spaces; "-" is the empty text */
    } rows[] = {
        { "abc", "abc", "ab abcd xabc - ABC" },
        { "a|bc|d", "a bc d", "ab b c ad -" },
        { "neutral|dark|hopeful|wry", "neutral dark hopeful wry", "Dark darkwry neutra -" },
        { "[a-z][a-z0-9_]{0,3}", "a ab a_1 a123", "1a a1234 A -" },
        { "a?", "- a", "aa b" },
        { "a*b", "b ab aaaab", "a ba -" },
        { "a+", "a aaa", "- b ab" },
        { "(ab){2}", "abab", "ab ababab -" },
        { "(ab){2,}", "abab ababab", "ab aba" },
        { "(a|b){1,3}c", "ac bac abac", "c ababc" },
        { "(a?){3}", "- a aa aaa", "aaaa" },
        { "(a*)*", "- a aaaa", "b" },
        { "((a|b)+c)?d", "d acd babcd", "cd abd" },
        { "(?:x|y)z", "xz yz", "z xyz" },
        { "[^a-c]", "d é", "a b c -" },
        { "[]x]+", "] ]x", "a" },
        { "[^]]", "a", "]" },
        { "[a-]+", "a - -a", "b" },
        { "\\d{2}\\.\\w", "12.a 99._", "1.a 12xa 12.-" },
        { "[\\d.]+", "1.2 3", "a" },
        { ".", "a é 字", "ab -" },
        { "é{2}", "éé", "é ééé" },
        { "[à-ü]+", "éè", "z" },
        { "^ab$", "ab", "a b" },
        { "a\\$", "a$", "a" },
        { "\\{\\}", "{}", "x" },
        { "(a(b(c(d)?)?)?)?", "- a ab abc abcd", "abd b" },
        { "a{3}", "aaa", "aa aaaa" },
        { "(a|ab)(c|bcd)", "ac abc abcd abbcd", "abcbcd" },
    };
    static struct pattern p;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *problem = pattern_compile(&p, rows[i].pattern);
        if (problem != NULL)
            fail_msg("%s: %s", rows[i].pattern, problem);
        for (int yes = 0; yes < 2; yes++)
            for (const char *s = yes ? rows[i].yes : rows[i].no; *s != '\0';) {
                size_t size = strcspn(s, " ");
                bool empty = size == 1 && *s == '-' && strcmp(rows[i].pattern, "[a-]+") != 0;
                if (pattern_match(&p, s, empty ? 0 : size) != (yes == 1))
                    fail_msg("%s on '%.*s' is not %d", rows[i].pattern, (int) size, s, yes);
                s += size + (s[size] == ' ');
            }
    }
}

static void test_refuses(void **state)
{
    (void) state;
    static const char *const rows[] = {
        "",     "a|",   "|a",    "(",      "()",      "(a",      "a)",
        "[",    "[a",   "[z-a]", "*",      "+a",      "a**",     "a{2}{3}",
        "a{",   "a{2",  "a{,2}", "a{3,2}", "a{0}",    "a{1001}", "a{99999999999}",
        "\\q",  "\\",   "a??",   "[\\q]",  "[a-\\d]", "}",       "(a{1000}){1000}",
        "\xff", "a||b", "((a)",
    };
    static struct pattern p;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (pattern_compile(&p, rows[i]) == NULL)
            fail_msg("'%s' was taken", rows[i]);
    char deep[256];
    memset(deep, '(', 100);
    strcpy(deep + 100, "a");
    assert_non_null(pattern_compile(&p, deep));
}

/* Catastrophic for a backtracking matcher: 2^n steps; here 200 KB take a blink. */
static void test_is_linear(void **state)
{
    (void) state;
    static const char *const rows[] = { "(a*)*b", "(a|a)*b", "(a?){30}a{30}b", "(.*)(.*)(.*)(.*)x",
                                        "(a|aa)+b" };
    enum { SIZE = 200000 };
    char *text = malloc(SIZE);
    assert_non_null(text);
    memset(text, 'a', SIZE);
    static struct pattern p;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_null(pattern_compile(&p, rows[i]));
        uint64_t start = clock_mono_ns();
        assert_false(pattern_match(&p, text, SIZE));
        assert_true(clock_mono_ns() - start < 20u * 1000 * 1000 * 1000);
    }
    free(text);
}

/* Random patterns and texts of a small alphabet against the C library's matcher. */
static void test_agrees_with_posix(void **state)
{
    (void) state;
    static const char *const parts[] = { "a", "b", "[ab]", "[^a]", "(a|b)", "(ab)", "(a|bb)", "." };
    static const char *const counts[] = { "", "", "?", "*", "+", "{2}", "{1,2}", "{0,2}", "{1,}" };
    uint64_t random = 4101842887655102017u;
    static struct pattern p;
    size_t matched = 0;
    for (int round = 0; round < 3000; round++) {
        char pattern[128] = "", anchored[160], text[12];
        for (int i = 0; i < 4; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            strcat(pattern, parts[(random >> 33) % 8]);
            strcat(pattern, counts[(random >> 40) % 9]);
            if ((random >> 50) % 8 == 0 && i < 3)
                strcat(pattern, "|");
        }
        strcpy(anchored, "^(");
        strcat(strcat(anchored, pattern), ")$");
        regex_t r;
        assert_int_equal(regcomp(&r, anchored, REG_EXTENDED | REG_NOSUB), 0);
        assert_null(pattern_compile(&p, pattern));
        for (int t = 0; t < 8; t++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            size_t size = (random >> 33) % 8;
            for (size_t i = 0; i < size; i++)
                text[i] = "abc"[(random >> (36 + 2 * i)) % 3];
            text[size] = '\0';
            bool theirs = regexec(&r, text, 0, NULL, 0) == 0, ours = pattern_match(&p, text, size);
            matched += ours;
            if (ours != theirs)
                fail_msg("%s on '%s': %d, the C library says %d", pattern, text, ours, theirs);
        }
        regfree(&r);
    }
    assert_in_range(matched, 500, 23000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_is_linear),
        cmocka_unit_test(test_agrees_with_posix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
