/* rules.h — grades and verdict from a data file that a person can read (clients/load/rules.txt is
 * built in).  A failed check is never averaged with others: a component's grade is its worst, and
 * the verdict is the first whose condition holds.  Pure. */
#ifndef NOVEL_LOAD_RULES_H
#define NOVEL_LOAD_RULES_H
#include "clients/load/results.h"

enum { RULES_MAX = 128, RULES_COMPONENTS = 24, RULES_VERDICTS = 8, RULE_GRADES = 4 };
enum rule_kind { RULE_MUST, RULE_SHOULD, RULE_GRADE };
struct rule {
    enum rule_kind kind;
    unsigned component, line; /* of the file, from 1 */
    char section[RESULTS_NAME], endpoint[RESULTS_NAME], metric[RESULTS_NAME];
    bool at_least; /* else at most */
    double limit;
    double grades[RULE_GRADES]; /* limits of A, B, C, D; beyond is F */
    unsigned users_min, users_max;
    char text[160]; /* as written */
};
enum verdict_condition { WHEN_MUST_FAILED, WHEN_MUST_UNMEASURED, WHEN_SHOULD_FAILED, WHEN_ALWAYS };
struct rules {
    char components[RULES_COMPONENTS][RESULTS_NAME];
    size_t n_components;
    struct rule list[RULES_MAX];
    size_t n;
    struct {
        char name[RESULTS_NAME], text[160];
        enum verdict_condition when;
    } verdicts[RULES_VERDICTS];
    size_t n_verdicts;
};
/* false: why names the line. */
bool rules_parse(struct rules *r, const char *text, size_t size, char *why, size_t why_size);
/* path NULL: the built-in ones. */
bool rules_load(struct rules *r, const char *path, char *why, size_t why_size);

enum check_state { CHECK_PASSED, CHECK_FAILED, CHECK_UNMEASURED };
struct check_result {
    const struct rule *rule;
    enum check_state state;
    double value;    /* the worst that was found */
    char where[128]; /* "http /health, 50 users" */
    char grade;      /* of RULE_GRADE: 'A' to 'F'; else 0 */
};
struct component_result {
    unsigned passed, failed_must, failed_should, unmeasured;
    char grade;                       /* the worst; '-' without one */
    const struct check_result *worst; /* what gave it, or the first check that failed; NULL: none */
};
struct judgement {
    const struct rules *rules;
    struct check_result checks[RULES_MAX];
    size_t n;
    struct component_result components[RULES_COMPONENTS];
    unsigned passed, failed_must, failed_should, unmeasured_must, unmeasured;
    const char *verdict, *verdict_rule;
};
/* rules and results are lent for j's life. */
void rules_judge(const struct rules *rules, const struct results *results, struct judgement *j);
/* "p95_ms 3.2 <= 100" and so on, for reports. */
void rules_describe(const struct check_result *c, char *out, size_t size);

#endif
