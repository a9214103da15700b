/* English forms: tables of what a reader expects. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>
#include "server/narrator/morph.h"

static void articles(void **state)
{
    (void) state;
    static const char *const table[][2] = {
        { "cup", "a" },
        { "engineer", "an" },
        { "hour", "an" },
        { "honest pilot", "an" },
        { "unit", "a" },
        { "uniform", "a" },
        { "unknown", "an" },
        { "uninvited", "an" },
        { "one-man boat", "a" },
        { "European", "a" },
        { "X-ray", "an" },
        { "FBI agent", "an" },
        { "UN envoy", "a" },
        { "8-inch bolt", "an" },
        { "Abandoned", "an" },
        { "umbrella", "an" },
        { "user", "a" },
        { "eye", "an" },
        { "11th hour", "an" },
        { "heir", "an" },
        { "house", "a" },
        { "Alex", "an" },
        { "", "a" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(morph_article(table[i][0]), table[i][1]);
}
static void pronouns(void **state)
{
    (void) state;
    static const struct {
        const char *declared, *forms[4], *was;
    } table[] = {
        { "he", { "he", "him", "his", "himself" }, "was" },
        { "she", { "she", "her", "her", "herself" }, "was" },
        { "they", { "they", "them", "their", "themself" }, "were" },
        { "it", { "it", "it", "its", "itself" }, "was" },
        { "ze", { "they", "them", "their", "themself" }, "were" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        enum morph_gender g = morph_gender(table[i].declared);
        for (int k = 0; k < 4; k++)
            assert_string_equal(morph_pronoun(g, (enum morph_case) k, false), table[i].forms[k]);
        assert_string_equal(morph_was(g, false, true), table[i].was);
        assert_string_equal(morph_was(g, false, false), "was"); /* "Jordan was" */
        assert_string_equal(morph_was(g, true, false), "were");
    }
    assert_string_equal(morph_pronoun(MORPH_IT, MORPH_OBJECT, true), "them");
    assert_string_equal(morph_pronoun(MORPH_IT, MORPH_REFLEXIVE, true), "themselves");
}
static void possessives(void **state)
{
    (void) state;
    static const struct {
        const char *noun;
        bool plural;
        const char *want;
    } table[] = {
        { "Alex", false, "Alex's" },
        { "James", false, "James's" },
        { "engineers", true, "engineers'" },
        { "children", true, "children's" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf b = { 0 };
        morph_possessive(&b, table[i].noun, table[i].plural);
        assert_string_equal(buf_str(&b), table[i].want);
        buf_done(&b);
    }
}
static void contractions(void **state)
{
    (void) state;
    static const char *const table[][2] = {
        { "Don't go. I'm sure it's Alex's.", "Do not go. I am sure it is Alex's." },
        { "Can't, won't, shan't", "Cannot, will not, shall not" },
        { "They've said you're late; we'll see.", "They have said you are late; we will see." },
        { "Let's.", "Let us." },
        { "the dogs' bowl, 'quoted'", "the dogs' bowl, 'quoted'" },
        { "What's that? There's one. I'd go.", "What is that? There is one. I would go." },
        { "Before you'd heard. You'd better. I'd never seen it. I'd need it.",
          "Before you had heard. You had better. I had never seen it. I would need it." },
        { "I'd", "I would" },
        { "", "" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct buf b = { 0 };
        morph_expand(&b, table[i][0], strlen(table[i][0]));
        assert_string_equal(buf_str(&b), table[i][1]);
        buf_done(&b);
    }
}
static void words(void **state)
{
    (void) state;
    const char *text = "\"Don't,\" said Dr. Half-Life; 3 times.";
    static const char *const want[] = { "don't", "said", "dr", "half-life", "3", "times" };
    char word[32];
    size_t at = 0, n = 0;
    while (morph_next_word(text, strlen(text), &at, word))
        assert_string_equal(word, want[n++]);
    assert_int_equal(n, 6);
    assert_int_equal(morph_words(text, strlen(text)), 6);
}

static void places(void **state)
{
    (void) state;
    static const char *const table[][2] = {
        { "common room", "in" },   { "assembly deck", "on" },      { "gatehouse", "at" },
        { "valley below a dam", "in" }, { "edge of charted space", "at" }, { "top floor", "on" },
        { "lock-up", "in" },       { "island without a harbour", "on" }, { "", "in" },
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_string_equal(morph_place(table[i][0]), table[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(articles),     cmocka_unit_test(pronouns), cmocka_unit_test(possessives),
        cmocka_unit_test(contractions), cmocka_unit_test(words),    cmocka_unit_test(places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
