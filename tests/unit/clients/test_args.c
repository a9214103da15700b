/* novelctl's command line, as a table of what people type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "clients/cli/args.h"
#include "clients/cli/ctl.h"

/* The commands themselves are not run here. */
#define COMMAND(name)                                                                              \
    int name(struct ctl *c)                                                                        \
    {                                                                                              \
        (void) c;                                                                                  \
        return 0;                                                                                  \
    }
COMMAND(cmd_health)
COMMAND(cmd_info)
COMMAND(cmd_characters_list)
COMMAND(cmd_characters_show)
COMMAND(cmd_characters_create)
COMMAND(cmd_characters_update)
COMMAND(cmd_characters_delete)
COMMAND(cmd_characters_reset)
COMMAND(cmd_campaigns_list)
COMMAND(cmd_campaigns_create)
COMMAND(cmd_campaigns_show)
COMMAND(cmd_campaigns_update)
COMMAND(cmd_campaigns_delete)
COMMAND(cmd_campaigns_manuscript)
COMMAND(cmd_simulate)
COMMAND(cmd_submit)
COMMAND(cmd_direct)
COMMAND(cmd_fork)
COMMAND(cmd_compare)
COMMAND(cmd_seek)
COMMAND(cmd_watch)
COMMAND(cmd_list)
COMMAND(cmd_show)
COMMAND(cmd_story)
COMMAND(cmd_tell)
COMMAND(cmd_cancel)
COMMAND(cmd_delete)
COMMAND(cmd_export)
COMMAND(cmd_why)
COMMAND(cmd_why_not)
COMMAND(cmd_beliefs)
COMMAND(cmd_verify)

static bool parse(struct args *a, const char *line, char *problem, size_t size)
{
    static char copy[2048];
    static char *argv[64];
    int argc = 0;
    strcpy(copy, line);
    argv[argc++] = "novelctl";
    for (char *word = strtok(copy, "|"); word != NULL; word = strtok(NULL, "|"))
        argv[argc++] = word;
    argv[argc] = NULL;
    problem[0] = '\0';
    return args_parse(a, argc, argv, problem, size);
}

static void test_good_lines(void **state)
{
    (void) state;
    static const struct {
        const char *line; /* words parted by | */
        int (*run)(struct ctl *c);
        uint64_t given;
        size_t n;
        const char *first;
    } rows[] = {
#define B(x) FLAG_BIT(FLAG_##x)
        { "health", cmd_health, 0, 0, NULL },
        { "--json|health", cmd_health, B(JSON), 0, NULL },
        { "health|-j", cmd_health, B(JSON), 0, NULL },
        { "--server|unix:/x|health", cmd_health, B(SERVER), 0, NULL },
        { "-sunix:/x|health", cmd_health, B(SERVER), 0, NULL },
        { "characters", cmd_characters_list, 0, 0, NULL },
        { "characters|list", cmd_characters_list, 0, 0, NULL },
        { "characters|show|pilot", cmd_characters_show, 0, 1, "pilot" },
        { "characters|--json|show|pilot", cmd_characters_show, B(JSON), 1, "pilot" },
        { "characters|create|-", cmd_characters_create, 0, 1, "-" },
        { "characters|update|pilot|--set|a=b|--set|c=d", cmd_characters_update, B(SET), 1,
          "pilot" },
        { "simulate|a|b|c|--turns|6|--seed=18446744073709551615", cmd_simulate, B(TURNS) | B(SEED),
          3, "a" },
        { "simulate|--setting||a|b", cmd_simulate, B(SETTING), 1,
          "b" }, /* strtok joins: the setting is "a" */
        { "simulate|--|--turns|-x", cmd_simulate, 0, 2, "--turns" },
        { "simulate", cmd_simulate, 0, 0, NULL }, /* the server says what is missing */
        { "watch|id|--after|12|--full", cmd_watch, B(AFTER) | B(FULL), 1, "id" },
        { "--timeout|0.5|list|--limit|3", cmd_list, B(TIMEOUT) | B(LIMIT), 0, NULL },
        { "help|simulate", cmd_simulate, B(HELP), 0, NULL },
        { "simulate|--help", cmd_simulate, B(HELP), 0, NULL },
        { "export|id|-o|f.nvlog", cmd_export, B(OUTPUT), 1, "id" },
        { "tell|id|--focaliser|pilot|--perspective|journal|--words|300", cmd_tell,
          B(FOCALISER) | B(PERSPECTIVE) | B(WORDS), 1, "id" },
        { "why|id|7", cmd_why, 0, 2, "id" },
        { "why-not|id|2|pilot|console|engineer", cmd_why_not, 0, 5, "id" },
        { "beliefs|id|pilot", cmd_beliefs, 0, 2, "id" },
        { "verify|id", cmd_verify, 0, 1, "id" },
        { "campaigns", cmd_campaigns_list, 0, 0, NULL },
        { "--json|campaigns|list", cmd_campaigns_list, B(JSON), 0, NULL },
        { "campaigns|create|A Novel|a|b|--description|d", cmd_campaigns_create, B(DESCRIPTION), 3,
          "A Novel" },
        { "campaigns|show|id", cmd_campaigns_show, 0, 1, "id" },
        { "campaigns|update|id|--name|n|--description=", cmd_campaigns_update,
          B(NAME) | B(DESCRIPTION), 1, "id" },
        { "campaigns|delete|id|--force", cmd_campaigns_delete, B(FORCE), 1, "id" },
        { "campaigns|manuscript|id|-f|epub|-o|x", cmd_campaigns_manuscript, B(FORMAT) | B(OUTPUT),
          1, "id" },
        { "simulate|a|b|--campaign|id", cmd_simulate, B(CAMPAIGN), 2, "a" },
        { "submit|a|b|--campaign=id", cmd_submit, B(CAMPAIGN), 2, "a" },
        { "watch|--help", cmd_watch, B(HELP), 0, NULL },
        { "--version", NULL, B(VERSION), 0, NULL },
        { "", NULL, 0, 0, NULL },
        { "help", NULL, B(HELP), 0, NULL },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct args a;
        char problem[400];
        if (!parse(&a, rows[i].line, problem, sizeof problem))
            fail_msg("%s: %s", rows[i].line, problem);
        assert_true(a.command == NULL ? rows[i].run == NULL : a.command->run == rows[i].run);
        assert_true(a.given == rows[i].given);
        assert_int_equal(a.n, rows[i].n);
        if (rows[i].first != NULL)
            assert_string_equal(a.positional[0], rows[i].first);
    }
}

static void test_values(void **state)
{
    (void) state;
    struct args a;
    char problem[400];
    assert_true(parse(&a, "simulate|a|b|--seed|18446744073709551615|--turns=50|--scenario=x=y|-t|7",
                      problem, 400));
    assert_true(a.number[FLAG_SEED] == UINT64_MAX);
    assert_int_equal(a.number[FLAG_TURNS], 7); /* the last one counts */
    assert_string_equal(a.text[FLAG_SCENARIO], "x=y");
    assert_true(parse(&a, "health|--timeout|1.25", problem, 400));
    assert_int_equal(a.number[FLAG_TIMEOUT], 1250);
    assert_true(parse(&a, "characters|--help", problem, 400));
    assert_string_equal(a.group, "characters");
    assert_true(parse(&a, "help|characters|show", problem, 400));
    assert_null(a.group);
    assert_true(a.command->run == cmd_characters_show);
}

static void test_bad_lines(void **state)
{
    (void) state;
    static const struct {
        const char *line, *problem;
    } rows[] = {
        { "nonsense", "there is no command 'nonsense'" },
        { "simulat|a|b", "did you mean 'simulate'?" },
        { "helth", "did you mean 'health'?" },
        { "whatever", "there is no command 'whatever'" },
        { "simulate|a|b|--turn|3", "there is no flag --turn; did you mean --turns?" },
        { "simulate|a|b|--sedd|3", "did you mean --seed?" },
        { "simulate|-x", "there is no flag -x" },
        { "simulate|a|--turns|x", "--turns needs a whole number, not 'x'" },
        { "simulate|a|--turns|-1", "--turns needs a whole number, not '-1'" },
        { "simulate|a|--turns|3.5", "--turns needs a whole number, not '3.5'" },
        { "simulate|a|--turns|99999999999", "--turns must be 0 to 2147483647" },
        { "simulate|a|--seed|18446744073709551616", "--seed must be 0 to 18446744073709551615" },
        { "simulate|a|--turns", "--turns needs N" },
        { "health|--turns|3", "--turns is not a flag of 'health'" },
        { "health|--json=yes", "--json takes no value" },
        { "health|extra", "'extra' is one argument too many" },
        { "watch", "'watch' needs ID" },
        { "watch|a|b", "'b' is one argument too many" },
        { "characters|shwo|pilot",
          "'characters shwo' is not known; there are: list, show, create" },
        { "characters|show", "'characters show' needs ID" },
        { "characters|update|pilot|--set|x", "--set needs FIELD=VALUE, not 'x'" },
        { "--timeout|nan|health", "--timeout needs seconds" },
        { "--timeout|0|health", "--timeout must be 0.001 to" },
        { "--timeout|1e99|health", "--timeout must be" },
        { "--timeout|5s|health", "--timeout needs seconds, not '5s'" },
        { "campaigns|make|x", "'campaigns make' is not known; there are: list, create, show, update, "
                              "delete, manuscript" },
        { "campaigns|create|A Novel", "'campaigns create' needs NAME ID" },
        { "campaigns|show|id|--force", "--force is not a flag of 'campaigns'" },
        { "campaigns|create|A|b|--name|x", "--name is not a flag of 'campaigns'" },
        { "watch|id|--campaign|x", "--campaign is not a flag of 'watch'" },
        { "campaigns|manuscript", "'campaigns manuscript' needs ID" },
        { "help|nonsense", "there is no command 'nonsense'" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct args a;
        char problem[400];
        if (parse(&a, rows[i].line, problem, sizeof problem))
            fail_msg("%s was taken", rows[i].line);
        if (strstr(problem, rows[i].problem) == NULL)
            fail_msg("%s: %s", rows[i].line, problem);
    }
    struct args a;
    char problem[400];
    char *many[100] = { "novelctl", "simulate" };
    for (int i = 2; i < 99; i++)
        many[i] = "x";
    assert_false(args_parse(&a, 99, many, problem, sizeof problem));
    for (int i = 2; i < 98; i += 2) {
        many[i] = "--set";
        many[i + 1] = "a=b";
    }
    assert_false(args_parse(&a, 98, many, problem, sizeof problem));
}

/* Every flag and command is complete: the help and the parser live from these tables. */
static void test_tables_are_whole(void **state)
{
    (void) state;
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        assert_int_equal(args_flags[i].id, i);
        assert_non_null(args_flags[i].help);
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(args_flags[i].name, args_flags[j].name);
            assert_true(args_flags[i].letter == '\0' ||
                        args_flags[i].letter != args_flags[j].letter);
        }
        uint64_t users = FLAGS_EVERYWHERE;
        for (size_t j = 0; j < args_n_commands; j++)
            users |= args_commands[j].flags;
        assert_true((users & FLAG_BIT(i)) != 0);
    }
    for (size_t i = 0; i < args_n_commands; i++) {
        assert_non_null(args_commands[i].run);
        assert_true(strlen(args_commands[i].summary) > 5);
        assert_true(args_commands[i].min <= args_commands[i].max);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_lines),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_tables_are_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
