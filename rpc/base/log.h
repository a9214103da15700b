/* log.h — structured log: one JSON object a line, written with one write(2).  Thread-safe, no lock.
 * Members: timestamp, severity, program, event, then what the caller adds.  Lower layers log at debug only;
 * the edge (service, exchange, main) logs an outcome once. */
#ifndef NRPC_BASE_LOG_H
#define NRPC_BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR, LOG_LEVEL_OFF };

/* [setup] program is lent for ever; fd is 1 for servers, 2 for tools. */
void log_setup(const char *program, int fd, enum log_level level);
bool log_enabled(enum log_level level);
/* "debug", "info", "warn", "error", "off"; -1 when it is none. */
int log_level_parse(const char *name);

enum log_kind { LOG_END_OF_FIELDS, LOG_STRING, LOG_INT, LOG_UINT, LOG_DOUBLE, LOG_BOOL };
struct log_field {
    const char *key;
    enum log_kind kind;
    union {
        const char *s; /* NULL is written as null */
        int64_t i;
        uint64_t u;
        double d;
        bool b;
    } value;
};
#define LOG_S(k, v) { (k), LOG_STRING, { .s = (v) } }
#define LOG_I(k, v) { (k), LOG_INT, { .i = (v) } }
#define LOG_U(k, v) { (k), LOG_UINT, { .u = (v) } }
#define LOG_D(k, v) { (k), LOG_DOUBLE, { .d = (v) } }
#define LOG_B(k, v) { (k), LOG_BOOL, { .b = (v) } }

/* fields ends with a zero entry.  Strings that are not UTF-8 are written with U+FFFD. */
void log_write(enum log_level level, const char *event, const struct log_field *fields);
/* log_event(LOG_LEVEL_INFO, "ready", LOG_S("address", a), LOG_U("pid", p)); */
#define log_event(level, event, ...)                                                               \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write(level, event, (const struct log_field[]) { __VA_ARGS__ __VA_OPT__(, ) { 0 } }); \
    } while (0)

#endif
