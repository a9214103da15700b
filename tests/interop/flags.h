/* flags.h — command lines of the public interop programs: --name=value, --name value, and for
 * switches --name, --name=true|false, --name true|false, --noname.  One dash will do as well. */
#ifndef INTEROP_FLAGS_H
#define INTEROP_FLAGS_H
#include <stdbool.h>
#include <stdint.h>

enum flag_kind { FLAG_END, FLAG_TEXT, FLAG_NUMBER, FLAG_SWITCH };
struct flag {
    const char *name;
    enum flag_kind kind;
    union {
        const char **text; /* borrows from argv */
        int32_t *number;   /* decimal, not negative */
        bool *on;
    } value;
    const char *help;
};
/* false after a message on stderr.  `flags` ends with a zero entry; values not given stay. */
bool flags_parse(const struct flag *flags, const char *program, int argc, char **argv);
void flags_print(const struct flag *flags, const char *program);

#endif
