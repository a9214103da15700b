#include "rpc/base/pattern.h"

#include <string.h>

#include "rpc/base/utf8.h"

/* A Thompson machine: SET eats a code point of set x; SPLIT goes on at x and y; JUMP at x. */
enum { OP_SET, OP_SPLIT, OP_JUMP, OP_MATCH };
enum { COUNT_MAX = 1000, GROUP_DEPTH_MAX = 16, UNBOUNDED = -1 };

struct parser {
    struct pattern *p;
    const char *text, *at;
    unsigned depth;
    const char *problem; /* first one */
};

static void parse_choice(struct parser *s);

static void fail(struct parser *s, const char *problem)
{
    if (s->problem == NULL)
        s->problem = problem;
}

static uint16_t emit(struct parser *s, uint8_t op, size_t x, size_t y)
{
    struct pattern *p = s->p;
    if (p->n_code == PATTERN_CODE_MAX) {
        fail(s, "it is too large");
        return 0;
    }
    p->code[p->n_code].op = op;
    p->code[p->n_code].x = (uint16_t) x;
    p->code[p->n_code].y = (uint16_t) y;
    return p->n_code++;
}

/* ---- sets ---- */
static void add_range(struct parser *s, uint32_t low, uint32_t high)
{
    struct pattern *p = s->p;
    if (low > high)
        fail(s, "a range of a class runs backwards");
    else if (p->n_ranges == PATTERN_RANGES_MAX)
        fail(s, "its classes are too large");
    else {
        p->ranges[p->n_ranges].low = low;
        p->ranges[p->n_ranges++].high = high;
    }
}

static uint32_t take_code_point(struct parser *s)
{
    size_t size;
    uint32_t c = utf8_decode(s->at, strlen(s->at), &size);
    s->at += size;
    return c;
}

static bool add_named(struct parser *s, char name)
{
    switch (name) {
    case 'd':
        add_range(s, '0', '9');
        return true;
    case 'w':
        add_range(s, '0', '9');
        add_range(s, 'A', 'Z');
        add_range(s, '_', '_');
        add_range(s, 'a', 'z');
        return true;
    case 's':
        add_range(s, '\t', '\r');
        add_range(s, ' ', ' ');
        return true;
    }
    return false;
}

/* Behind a backslash: a named class was added (true), or *out_literal is the code point. */
static bool parse_escape(struct parser *s, uint32_t *out_literal)
{
    char c = *s->at;
    *out_literal = 0;
    if (add_named(s, c)) {
        s->at++;
        return true;
    }
    if (c == 'n' || c == 't') {
        s->at++;
        *out_literal = c == 'n' ? '\n' : '\t';
    } else if (c != '\0' && strchr("\\.[](){}|?*+^$-/\"'", c) != NULL) {
        s->at++;
        *out_literal = (uint8_t) c;
    } else {
        fail(s, "it has an unknown escape");
    }
    return false;
}

static void parse_class(struct parser *s)
{
    bool first = true;
    while (s->problem == NULL && (*s->at != ']' || first)) {
        first = false;
        if (*s->at == '\0') {
            fail(s, "a class is not closed");
            return;
        }
        uint32_t low;
        if (*s->at == '\\') {
            s->at++;
            if (parse_escape(s, &low))
                continue;
        } else {
            low = take_code_point(s);
        }
        uint32_t high = low;
        if (s->at[0] == '-' && s->at[1] != ']' && s->at[1] != '\0') {
            s->at++;
            if (*s->at != '\\')
                high = take_code_point(s);
            else if (s->at++, parse_escape(s, &high))
                fail(s, "a range of a class ends in a class");
        }
        add_range(s, low, high);
    }
    s->at += *s->at == ']';
}

/* The extent of the set at s->at was parsed before: reuse it. */
static bool reuse_set(struct parser *s, uint32_t source)
{
    for (uint16_t i = 0; i < s->p->n_sets; i++)
        if (s->p->sets[i].source == source) {
            emit(s, OP_SET, i, 0);
            return true;
        }
    return false;
}

static void skip_atom(struct parser *s);

static void parse_set(struct parser *s)
{
    struct pattern *p = s->p;
    uint32_t source = (uint32_t) (s->at - s->text);
    if (reuse_set(s, source)) {
        skip_atom(s);
        return;
    }
    if (p->n_sets == PATTERN_SETS_MAX) {
        fail(s, "it has too many classes and literals");
        return;
    }
    uint16_t first = p->n_ranges;
    bool negated = false;
    uint32_t literal;
    switch (*s->at) {
    case '[':
        s->at++;
        negated = *s->at == '^';
        s->at += negated;
        parse_class(s);
        break;
    case '.':
        s->at++;
        add_range(s, 0, 0x10ffff);
        break;
    case '\\':
        s->at++;
        if (!parse_escape(s, &literal))
            add_range(s, literal, literal);
        break;
    default:
        literal = take_code_point(s);
        add_range(s, literal, literal);
    }
    p->sets[p->n_sets].source = source;
    p->sets[p->n_sets].first = first;
    p->sets[p->n_sets].count = (uint16_t) (p->n_ranges - first);
    p->sets[p->n_sets].negated = negated;
    emit(s, OP_SET, p->n_sets++, 0);
}

/* ---- structure ---- */
static void skip_class(struct parser *s)
{
    s->at++;
    s->at += *s->at == '^';
    s->at += *s->at == ']';
    while (*s->at != '\0' && *s->at != ']')
        s->at += s->at[0] == '\\' && s->at[1] != '\0' ? 2 : 1;
    s->at += *s->at == ']';
}

/* Moves behind the atom without code: its quantifier must be known before it is emitted. */
static void skip_atom(struct parser *s)
{
    unsigned open = 0;
    do {
        if (*s->at == '\0')
            return;
        if (*s->at == '[') {
            skip_class(s);
        } else if (*s->at == '\\' && s->at[1] != '\0') {
            s->at += 2;
        } else {
            open += *s->at == '(';
            open -= *s->at == ')' && open > 0;
            size_t size;
            utf8_decode(s->at, strlen(s->at), &size);
            s->at += size;
        }
    } while (open > 0);
}

static void parse_atom(struct parser *s)
{
    if (*s->at == '\0' || strchr("|)?*+{}", *s->at) != NULL) {
        fail(s, "something to match is missing, or a sign needs a backslash");
        return;
    }
    if (*s->at != '(') {
        parse_set(s);
        return;
    }
    if (++s->depth > GROUP_DEPTH_MAX) {
        fail(s, "its groups are nested too deep");
        return;
    }
    s->at++;
    if (s->at[0] == '?' && s->at[1] == ':')
        s->at += 2;
    parse_choice(s);
    if (*s->at != ')')
        fail(s, "a group is not closed");
    else
        s->at++;
    s->depth--;
}

static int parse_count(struct parser *s)
{
    int n = 0;
    if (*s->at < '0' || *s->at > '9')
        fail(s, "a count is missing in braces");
    for (; *s->at >= '0' && *s->at <= '9'; s->at++)
        if ((n = n * 10 + (*s->at - '0')) > COUNT_MAX) {
            fail(s, "a count is over 1,000");
            return COUNT_MAX;
        }
    return n;
}

/* Reads a quantifier, if any; {1,1} otherwise.  max is UNBOUNDED for * + {m,}. */
static void parse_quantifier(struct parser *s, int *min, int *max)
{
    *min = *max = 1;
    switch (*s->at) {
    case '?':
        *min = 0;
        break;
    case '*':
        *min = 0;
        *max = UNBOUNDED;
        break;
    case '+':
        *max = UNBOUNDED;
        break;
    case '{':
        s->at++;
        *min = *max = parse_count(s);
        if (*s->at == ',') {
            s->at++;
            *max = *s->at == '}' ? UNBOUNDED : parse_count(s);
        }
        if (*s->at != '}')
            fail(s, "a brace is not closed");
        else if (*max == 0 || (*max != UNBOUNDED && *max < *min))
            fail(s, "the counts in braces allow nothing");
        break;
    default:
        return;
    }
    s->at += *s->at != '\0';
}

/* One atom, min..max times: copies for the fixed part, nested options or a loop for the rest. */
static void parse_repeat(struct parser *s)
{
    const char *atom = s->at;
    int min, max;
    skip_atom(s);
    parse_quantifier(s, &min, &max);
    const char *after = s->at;
    for (int i = 0; i < min && s->problem == NULL; i++) {
        s->at = atom;
        parse_atom(s);
    }
    if (max == UNBOUNDED && s->problem == NULL) {
        uint16_t split = emit(s, OP_SPLIT, s->p->n_code + 1u, 0);
        s->at = atom;
        parse_atom(s);
        emit(s, OP_JUMP, split, 0);
        s->p->code[split].y = s->p->n_code;
    }
    uint16_t first_split = s->p->n_code;
    for (int i = min; i < max && s->problem == NULL; i++) {
        emit(s, OP_SPLIT, s->p->n_code + 1u, UINT16_MAX);
        s->at = atom;
        parse_atom(s);
    }
    /* Every option that was left out goes on behind all of them.  Options inside the atom are
     * patched already. */
    for (uint16_t i = first_split; i < s->p->n_code; i++)
        if (s->p->code[i].op == OP_SPLIT && s->p->code[i].y == UINT16_MAX)
            s->p->code[i].y = s->p->n_code;
    s->at = after;
    if (*s->at == '?' || *s->at == '*' || *s->at == '+' || *s->at == '{')
        fail(s, "a quantifier follows a quantifier");
}

static void parse_sequence(struct parser *s)
{
    do
        parse_repeat(s);
    while (s->problem == NULL && *s->at != '\0' && *s->at != '|' && *s->at != ')' &&
           !(s->at[0] == '$' && s->at[1] == '\0'));
}

static void parse_choice(struct parser *s)
{
    uint16_t jumps[PATTERN_SETS_MAX], n_jumps = 0;
    for (;;) {
        const char *start = s->at;
        uint16_t split = s->p->n_code;
        /* Room for the split is taken only if another branch follows. */
        const char *scan = start;
        struct parser ahead = { s->p, s->text, scan, 0, NULL };
        while (*ahead.at != '\0' && *ahead.at != '|' && *ahead.at != ')')
            skip_atom(&ahead);
        bool more = *ahead.at == '|';
        if (more)
            emit(s, OP_SPLIT, s->p->n_code + 1u, 0);
        parse_sequence(s);
        if (s->problem != NULL || !more)
            break;
        if (n_jumps == PATTERN_SETS_MAX) {
            fail(s, "it has too many alternatives");
            return;
        }
        jumps[n_jumps++] = emit(s, OP_JUMP, 0, 0);
        s->p->code[split].y = s->p->n_code;
        s->at++;
    }
    for (uint16_t i = 0; i < n_jumps; i++)
        s->p->code[jumps[i]].x = s->p->n_code;
}

const char *pattern_compile(struct pattern *p, const char *text)
{
    p->n_code = p->n_sets = p->n_ranges = 0;
    if (!utf8_valid(text, strlen(text)))
        return "it is not UTF-8";
    struct parser s = { p, text, text, 0, NULL };
    s.at += *s.at == '^';
    parse_choice(&s);
    s.at += s.at[0] == '$' && s.at[1] == '\0';
    if (*s.at != '\0')
        fail(&s, "a group closes that was never opened");
    emit(&s, OP_MATCH, 0, 0);
    return s.problem;
}

/* ---- matching ---- */
struct threads {
    uint16_t list[PATTERN_CODE_MAX];
    uint16_t n;
};

/* Adds the SETs and MATCHes reachable from pc without eating; marks keep each instruction to one
 * visit. */
static bool add_thread(const struct pattern *p, struct threads *t, uint32_t *marks, uint32_t mark,
                       uint16_t pc)
{
    uint16_t stack[2 * PATTERN_CODE_MAX + 1];
    size_t depth = 0;
    bool matched = false;
    stack[depth++] = pc;
    while (depth > 0) {
        pc = stack[--depth];
        if (marks[pc] == mark)
            continue;
        marks[pc] = mark;
        switch (p->code[pc].op) {
        case OP_SPLIT:
            stack[depth++] = p->code[pc].y;
            stack[depth++] = p->code[pc].x;
            break;
        case OP_JUMP:
            stack[depth++] = p->code[pc].x;
            break;
        case OP_MATCH:
            matched = true;
            break;
        default:
            t->list[t->n++] = pc;
        }
    }
    return matched;
}

static bool set_has(const struct pattern *p, uint16_t set, uint32_t c)
{
    for (uint16_t i = 0; i < p->sets[set].count; i++) {
        size_t r = (size_t) p->sets[set].first + i;
        if (c >= p->ranges[r].low && c <= p->ranges[r].high)
            return !p->sets[set].negated;
    }
    return p->sets[set].negated;
}

bool pattern_match(const struct pattern *p, const char *text, size_t size)
{
    uint32_t marks[PATTERN_CODE_MAX];
    struct threads lists[2], *now = &lists[0], *next = &lists[1];
    memset(marks, 0, p->n_code * sizeof marks[0]);
    uint32_t mark = 1;
    now->n = 0;
    bool matched = add_thread(p, now, marks, mark, 0);
    for (size_t at = 0; at < size; mark++) {
        if (now->n == 0)
            return false;
        size_t used;
        uint32_t c = utf8_decode(text + at, size - at, &used);
        at += used;
        next->n = 0;
        matched = false;
        for (uint16_t i = 0; i < now->n; i++) {
            uint16_t pc = now->list[i];
            if (set_has(p, p->code[pc].x, c))
                matched |= add_thread(p, next, marks, mark + 1, (uint16_t) (pc + 1));
        }
        struct threads *swap = now;
        now = next;
        next = swap;
    }
    return matched;
}
