#include "clients/cli/ctl.h"

#include <stdio.h>
#include <string.h>

static void heading(const char *text, bool color)
{
    printf("%s%s%s\n", color ? "\x1b[1m" : "", text, color ? "\x1b[0m" : "");
}

/* A few flags mean something else to commands that begin with a story or with many. */
static const char *flag_help(const struct flag *f, uint64_t flags)
{
    if ((flags & FLAG_BIT(FLAG_AT)) != 0 && f->id == FLAG_TURNS)
        return "how many turns it has in all (those of the other)";
    if ((flags & FLAG_BIT(FLAG_AT)) != 0 && f->id == FLAG_SEED)
        return "other luck from there on (that of the other)";
    if ((flags & FLAG_BIT(FLAG_SEEDS)) != 0 && f->id == FLAG_SEED)
        return "the first seed that is tried (1)";
    return f->help;
}

static void put_flags(uint64_t flags)
{
    for (size_t i = 0; i < FLAG_COUNT; i++) {
        const struct flag *f = &args_flags[i];
        if ((flags & FLAG_BIT(i)) == 0)
            continue;
        char left[48];
        snprintf(left, sizeof left, "%c%c%s --%s%s%s", f->letter != '\0' ? '-' : ' ',
                 f->letter != '\0' ? f->letter : ' ', f->letter != '\0' ? "," : " ", f->name,
                 f->value != NULL ? " " : "", f->value != NULL ? f->value : "");
        printf("  %-28s %s\n", left, flag_help(f, flags));
    }
}

static void put_name(const struct command *c, const char *tail)
{
    char left[64];
    bool sub = c->sub != NULL && c->sub[0] != '\0';
    snprintf(left, sizeof left, "%s%s%s%s%s", c->name, sub ? " " : "", sub ? c->sub : "",
             c->arguments[0] != '\0' ? " " : "", c->arguments);
    if (strlen(left) > 28)
        printf("  %s\n%31s%s\n", left, "", tail);
    else
        printf("  %-28s %s\n", left, tail);
}

void help_overview(bool color)
{
    printf("novelctl %s: run simulations on novel-server and read their stories\n\n",
           NOVEL_VERSION);
    heading("Usage", color);
    printf("  novelctl [--server ADDR] COMMAND [ARGUMENTS] [FLAGS]\n\n");
    heading("Commands", color);
    for (size_t i = 0; i < args_n_commands; i++)
        if (args_commands[i].sub == NULL || args_commands[i].sub[0] != '\0')
            put_name(&args_commands[i], args_commands[i].summary);
    printf("\n");
    heading("Flags everywhere", color);
    put_flags(FLAGS_EVERYWHERE);
    printf("\n");
    heading("Exit codes", color);
    printf("  0 done   1 failed   2 wrong usage   3 not found   4 server not reachable\n"
           "  5 the server refused an argument   6 conflict or wrong state   7 timed out   8 busy\n"
           "  130 interrupted\n\n");
    heading("Examples", color);
    printf("  novelctl characters\n"
           "  novelctl simulate engineer pilot scientist --turns 6 --scenario 'a distress signal'\n"
           "  novelctl --json list | jq -r '.simulations[].simulation_id'\n"
           "  novelctl help simulate\n");
}

void help_command(const struct command *c, bool color)
{
    bool sub = c->sub != NULL && c->sub[0] != '\0';
    printf("novelctl %s%s%s: %s\n\n", c->name, sub ? " " : "", sub ? c->sub : "", c->summary);
    heading("Usage", color);
    printf("  novelctl %s%s%s%s%s%s\n\n", c->name, sub ? " " : "", sub ? c->sub : "",
           c->arguments[0] != '\0' ? " " : "", c->arguments, c->flags != 0 ? " [FLAGS]" : "");
    if (c->details != NULL)
        printf("%s\n\n", c->details);
    if (c->flags != 0) {
        heading("Flags", color);
        put_flags(c->flags);
        printf("\n");
    }
    heading("Flags everywhere", color);
    put_flags(FLAGS_EVERYWHERE);
}

void help_group(const char *name, bool color)
{
    printf("novelctl %s: commands\n\n", name);
    for (size_t i = 0; i < args_n_commands; i++)
        if (strcmp(args_commands[i].name, name) == 0 && args_commands[i].sub[0] != '\0')
            put_name(&args_commands[i], args_commands[i].summary);
    printf("\n");
    heading("Flags everywhere", color);
    put_flags(FLAGS_EVERYWHERE);
}
