/* tale.h — the .tale compiler's inside: lexer, expressions, statements, image.  One compile at a
 * time per object; nothing outlives nvl_pack_compile. */
#ifndef NVL_TALE_H
#define NVL_TALE_H
#include "server/engine/pack.h"
#include "rpc/base/map.h"

enum { TALE_FLUENTS_MAX = 400, TALE_HINTED_MAX = 256 /* a hint names a fluent in one byte */ };
enum token_kind { TOKEN_END, TOKEN_WORD, TOKEN_NUMBER, TOKEN_STRING, TOKEN_PUNCT };
struct tale_line {
    const char *text; /* not NUL-ended */
    uint32_t size, line, column;
};
struct tale_statement {
    const char *file;
    struct tale_line head; /* after the keyword */
    struct tale_line *body;
    size_t body_count;
    char keyword[24];
    bool prose;
};
struct lex { /* one line being read; tok_* is the current token */
    struct tale *tale;
    const char *file;
    const char *start, *at, *end;
    uint32_t line, column; /* of start */
    enum token_kind kind;
    const char *text;
    uint32_t size, tok_column;
    int32_t number;
};
struct tale_define {
    const char *name;
    char params[4][16];
    unsigned params_count;
    const struct tale_statement *statement;
    struct lex body;
};
struct tale_name { /* anything that has a name and an index */
    const char *name;
    uint16_t extra;
};
struct tale_names {
    struct tale_name *items;
    size_t count, capacity;
};
struct tale {
    struct arena arena;
    struct nvl_error *err;
    int rc; /* first failure */
    struct tale_statement *statements;
    size_t statements_count;
    struct buf sec[SECTIONS];
    uint32_t counts[SECTIONS];
    struct map strings; /* text -> offset + 1 */
    struct tale_names fluents, ops, goals, frames, places, facts, truths, genres, threads, clues,
        endings;
    struct pack_fluent fluent_list[TALE_FLUENTS_MAX];
    struct tale_define defines[64];
    size_t defines_count;
    struct {
        enum pack_section sec;
        const char *word;
        int32_t value, kind, index;
    } * words;
    size_t words_count, words_capacity;
};
struct scope_param {
    char name[16];
    uint8_t sort;
    bool hidden;
};
struct scope { /* what names an expression may use */
    struct scope_param params[NVL_ARGS_MAX];
    unsigned count;
    bool each; /* inside an effect over all/others: "each" is the one it runs for */
};

/* Records the first error at the current token (or lex NULL: no place) and returns false. */
bool tale_fail(struct tale *t, const struct lex *lex, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool tale_nomem(struct tale *t); /* false */
/* tale_lex.c */
void lex_open(struct lex *lex, struct tale *t, const char *file, const struct tale_line *line);
void lex_next(struct lex *lex);
bool lex_is(const struct lex *lex, const char *text); /* a word or punctuation */
bool lex_take(struct lex *lex, const char *text);     /* is it? then next */
bool lex_want(struct lex *lex, const char *text);     /* take, or fail "expected" */
bool lex_word(struct lex *lex, char *out, size_t size, const char *what);
bool lex_int(struct lex *lex, int32_t *out, int32_t min, int32_t max,
             const char *what);                                      /* with sign */
uint32_t tale_string(struct tale *t, const char *text, size_t size); /* interned offset */
bool lex_string(struct lex *lex, uint32_t *out, const char *what);   /* "…" */
bool lex_done(struct lex *lex);                                      /* nothing may follow */
int names_find(const struct tale_names *n, const char *name);
bool names_add(struct tale *t, struct lex *lex, struct tale_names *n, const char *name,
               unsigned extra, const char *what);
bool lex_name(struct lex *lex, const struct tale_names *n, int *out, const char *what);
bool tale_split(struct tale *t, const struct nvl_source *source); /* source -> statements */
/* tale_expr.c */
enum { TYPE_ANY = -1 };
/* Compiles an expression into CODE; out_first is the first fluent it reads or -1.  Type: a sort, or
 * number. */
bool expr_compile(struct lex *lex, const struct scope *scope, int want_type, uint32_t *out_code,
                  int *out_first);
bool effect_compile(struct lex *lex, const struct scope *scope); /* appends one EFCT */
/* tale_op.c, tale_story.c */
bool tale_operator(struct tale *t, const struct tale_statement *s);
bool tale_params(struct lex *lex, struct scope *scope); /* "A char, P place" */
bool tale_fluent(struct tale *t, const struct tale_statement *s);
bool tale_story(struct tale *t, const struct tale_statement *s);
bool tale_story_declare(struct tale *t, const struct tale_statement *s);
bool tale_word_add(struct tale *t, enum pack_section sec, const char *word, int32_t value, int kind,
                   int index);
bool tale_beats(struct lex *lex, uint8_t *out);
#endif
