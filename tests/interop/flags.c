#include "tests/interop/flags.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_switch(const char *text, bool *out_on)
{
    static const char *const words[] = { "false", "true", "0", "1", "no", "yes" };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) {
            *out_on = i % 2 == 1;
            return true;
        }
    return false;
}

static bool parse_number(const char *text, int32_t *out_number)
{
    char *end;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < 0 || n > INT32_MAX)
        return false;
    *out_number = (int32_t) n;
    return true;
}

static const struct flag *find(const struct flag *flags, const char *name, size_t size)
{
    for (; flags->kind != FLAG_END; flags++)
        if (strlen(flags->name) == size && memcmp(flags->name, name, size) == 0)
            return flags;
    return NULL;
}

/* A switch without "=": the next word is its value only if it is one. */
static bool take_switch(const struct flag *f, const char *text, const char *next, int *used)
{
    if (text != NULL)
        return parse_switch(text, f->value.on);
    if (next != NULL && parse_switch(next, f->value.on)) {
        *used = 2;
        return true;
    }
    *f->value.on = true;
    return true;
}

static bool take(const struct flag *f, const char *text, const char *next, int *used)
{
    if (f->kind == FLAG_SWITCH)
        return take_switch(f, text, next, used);
    if (text == NULL) {
        if (next == NULL)
            return false;
        text = next;
        *used = 2;
    }
    if (f->kind == FLAG_NUMBER)
        return parse_number(text, f->value.number);
    *f->value.text = text;
    return true;
}

bool flags_parse(const struct flag *flags, const char *program, int argc, char **argv)
{
    for (int i = 1, used; i < argc; i += used) {
        used = 1;
        const char *word = argv[i];
        const char *name = word + strspn(word, "-");
        const char *equals = strchr(name, '=');
        size_t size = equals != NULL ? (size_t) (equals - name) : strlen(name);
        const char *text = equals != NULL ? equals + 1 : NULL;
        const struct flag *f = name == word || name - word > 2 ? NULL : find(flags, name, size);
        if (f == NULL && text == NULL && name != word && strncmp(name, "no", 2) == 0) {
            f = find(flags, name + 2, size - 2);
            f = f != NULL && f->kind == FLAG_SWITCH ? f : NULL;
            text = "false";
        }
        if (f == NULL) {
            fprintf(stderr, "%s: unknown flag %s (--help lists them)\n", program, word);
            return false;
        }
        if (!take(f, text, i + 1 < argc ? argv[i + 1] : NULL, &used)) {
            fprintf(stderr, "%s: --%s needs %s\n", program, f->name,
                    f->kind == FLAG_SWITCH   ? "true or false"
                    : f->kind == FLAG_NUMBER ? "a number from 0 to 2147483647"
                                             : "a value");
            return false;
        }
    }
    return true;
}

void flags_print(const struct flag *flags, const char *program)
{
    static const char *const kinds[] = { "", "=TEXT", "=NUMBER", "[=BOOL]" };
    printf("usage: %s [flags]\n", program);
    for (; flags->kind != FLAG_END; flags++) {
        printf("  --%s%s\n", flags->name, kinds[flags->kind]);
        printf("      %s\n", flags->help);
    }
}
