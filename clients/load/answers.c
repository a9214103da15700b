#include "clients/load/answers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rpc/base/check.h"

static bool bad(struct answers *a, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool bad(struct answers *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(a->why, sizeof a->why, format, args);
    va_end(args);
    return false;
}

void answers_done(struct answers *a)
{
    json_done(&a->json);
    for (size_t i = 0; i < ANSWERS_KNOWN; i++)
        buf_done(&a->known[i].body);
    *a = (struct answers){ 0 };
}

static bool is_known(const struct answers *a, const struct request *r, const char *body,
                     size_t size)
{
    for (size_t i = 0; i < ANSWERS_KNOWN; i++)
        if (a->known[i].request == r)
            return a->known[i].body.size == size && memcmp(a->known[i].body.data, body, size) == 0;
    return false;
}

static void remember(struct answers *a, const struct request *r, const char *body, size_t size)
{
    for (size_t i = 0; i < ANSWERS_KNOWN; i++) {
        struct answers_known *k = &a->known[i];
        if (k->request != NULL && k->request != r)
            continue;
        buf_reset(&k->body);
        buf_put(&k->body, body, size);
        k->request = k->body.failed ? NULL : r; /* without memory it is checked again next time */
        return;
    }
}

/* ---- JSON ---- */
static bool has(struct answers *a, const struct json_node *node, const char *key,
                enum json_kind kind)
{
    const struct json_node *m = json_get(&a->json, node, key);
    if (m == NULL)
        return bad(a, "'%s' is missing", key);
    return m->kind == kind || bad(a, "'%s' has another type", key);
}

static bool is_filled(struct answers *a, const struct json_node *node, const char *key)
{
    return has(a, node, key, JSON_KIND_STRING) &&
           (json_get(&a->json, node, key)->size > 0 || bad(a, "'%s' is empty", key));
}

static bool says(struct answers *a, const struct json_node *node, const char *key,
                 const char *wanted)
{
    if (!has(a, node, key, JSON_KIND_STRING))
        return false;
    const char *found = json_text(&a->json, node, key, "");
    return strcmp(found, wanted) == 0 || bad(a, "'%s' is '%.40s', not '%s'", key, found, wanted);
}

static bool check_health(struct answers *a, const struct json_node *root)
{
    return says(a, root, "status", "healthy") && says(a, root, "api", "running") &&
           is_filled(a, root, "timestamp") && is_filled(a, root, "version") &&
           is_filled(a, root, "config") && has(a, root, "uptime", JSON_KIND_NUMBER);
}

static bool check_characters(struct answers *a, const struct json_node *root)
{
    if (!has(a, root, "characters", JSON_KIND_ARRAY))
        return false;
    const struct json_node *list = json_get(&a->json, root, "characters");
    for (size_t i = 0; i < REQUEST_CAST; i++) {
        bool found = false;
        for (const struct json_node *c = json_first(&a->json, list); c != NULL;
             c = json_next(&a->json, c))
            found |= json_is_text(c, request_cast[i]);
        if (!found)
            return bad(a, "'characters' does not hold '%s'", request_cast[i]);
    }
    return true;
}

static bool check_character(struct answers *a, const struct json_node *root, const char *id)
{
    static const struct {
        const char *key;
        enum json_kind kind;
    } members[] = {
        { "personality_traits", JSON_KIND_STRING }, { "current_status", JSON_KIND_STRING },
        { "narrative_context", JSON_KIND_STRING },  { "skills", JSON_KIND_OBJECT },
        { "relationships", JSON_KIND_OBJECT },      { "current_location", JSON_KIND_STRING },
        { "inventory", JSON_KIND_ARRAY },           { "metadata", JSON_KIND_OBJECT },
        { "structured_data", JSON_KIND_OBJECT }
    };
    if (!says(a, root, "character_id", id) || !says(a, root, "character_name", id) ||
        !is_filled(a, root, "name") || !is_filled(a, root, "background_summary"))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(members); i++)
        if (!has(a, root, members[i].key, members[i].kind))
            return false;
    return true;
}

static bool check_simulation(struct answers *a, const struct json_node *root, int32_t turns)
{
    if (!is_filled(a, root, "story") || !has(a, root, "participants", JSON_KIND_ARRAY) ||
        !has(a, root, "turns_executed", JSON_KIND_NUMBER) ||
        !has(a, root, "duration_seconds", JSON_KIND_NUMBER))
        return false;
    const struct json_node *c = json_first(&a->json, json_get(&a->json, root, "participants"));
    for (size_t i = 0; i < REQUEST_CAST; i++, c = json_next(&a->json, c))
        if (!json_is_text(c, request_cast[i]))
            return bad(a, "'participants' are not those that were sent");
    if (c != NULL)
        return bad(a, "'participants' are more than were sent");
    snprintf(a->simulation, sizeof a->simulation, "%.127s",
             json_text(&a->json, root, "simulation_id", ""));
    double executed = json_number(&a->json, root, "turns_executed", -1);
    if (executed != turns)
        return bad(a, "'turns_executed' is %g, not %d", executed, (int) turns);
    return json_number(&a->json, root, "duration_seconds", 0) > 0 ||
           bad(a, "'duration_seconds' is not above 0");
}

static bool check_body(struct answers *a, const struct request *r, int32_t turns, const char *body,
                       size_t size)
{
    if (!json_parse(&a->json, body, size))
        return bad(a, "the body is no JSON: %s", a->json.problem);
    const struct json_node *root = json_root(&a->json);
    if (root->kind != JSON_KIND_OBJECT)
        return bad(a, "the body is no JSON object");
    switch (r->kind) {
    case REQUEST_HEALTH:
        return check_health(a, root);
    case REQUEST_CHARACTERS:
        return check_characters(a, root);
    case REQUEST_CHARACTER:
        return check_character(a, root, r->character);
    case REQUEST_SIMULATION:
    case REQUEST_STREAM:
        break;
    }
    return check_simulation(a, root, turns);
}

bool answers_check_json(struct answers *a, const struct request *r, int32_t turns, const char *body,
                        size_t size)
{
    if (is_known(a, r, body, size))
        return true;
    if (!check_body(a, r, turns, body, size))
        return false;
    if (r->kind != REQUEST_SIMULATION)
        remember(a, r, body, size);
    return true;
}

/* ---- server-sent events ---- */
struct event {
    const char *id, *type, *data; /* not NUL-ended; NULL: absent */
    size_t id_size, type_size, data_size;
};

static bool line_starts(const char *line, size_t size, const char *field, const char **out,
                        size_t *out_size)
{
    size_t n = strlen(field);
    if (size < n + 1 || memcmp(line, field, n) != 0 || line[n] != ':')
        return false;
    n += size > n + 1 && line[n + 1] == ' ' ? 2 : 1;
    *out = line + n;
    *out_size = size - n;
    return true;
}

/* The next event at *at; false at the end. */
static bool next_event(const char *body, size_t size, size_t *at, struct event *e)
{
    *e = (struct event){ 0 };
    while (*at < size) {
        const char *line = body + *at, *end = memchr(line, '\n', size - *at);
        if (end == NULL)
            return false; /* an event that was cut off is none */
        size_t n = (size_t) (end - line);
        *at += n + 1;
        if (n > 0 && line[n - 1] == '\r')
            n--;
        if (n == 0 && (e->data != NULL || e->type != NULL))
            return true;
        if (n == 0)
            *e = (struct event){ 0 };
        else if (!line_starts(line, n, "id", &e->id, &e->id_size) &&
                 !line_starts(line, n, "event", &e->type, &e->type_size))
            line_starts(line, n, "data", &e->data, &e->data_size);
    }
    return false;
}

static bool is_type(const struct event *e, const char *type)
{
    return e->type != NULL && e->type_size == strlen(type) &&
           memcmp(e->type, type, e->type_size) == 0;
}

/* 0: there is none, or it is no number. */
static uint64_t read_id(const struct event *e)
{
    uint64_t id = 0;
    size_t i = 0;
    for (; i < e->id_size && i < 19 && e->id[i] >= '0' && e->id[i] <= '9'; i++)
        id = 10 * id + (uint64_t) (e->id[i] - '0');
    return i == e->id_size ? id : 0;
}

bool answers_check_events(struct answers *a, int32_t turns, const char *body, size_t size,
                          bool *out_failed)
{
    uint64_t last = 0;
    bool result = false, ended = false;
    struct event e;
    *out_failed = false;
    for (size_t at = 0; next_event(body, size, &at, &e);) {
        if (is_type(&e, "error")) {
            *out_failed = true;
            return bad(a, "%.*s", (int) (e.data_size > 120 ? 120 : e.data_size),
                       e.data == NULL ? "" : e.data);
        }
        if (is_type(&e, "event")) {
            uint64_t id = read_id(&e);
            if (id != last + 1)
                return bad(a, "event %llu follows event %llu", (unsigned long long) id,
                           (unsigned long long) last);
            last = id;
        } else if (is_type(&e, "result")) {
            if (e.data == NULL || !json_parse(&a->json, e.data, e.data_size))
                return bad(a, "the result is no JSON");
            if (!check_simulation(a, json_get(&a->json, json_root(&a->json), "result"), turns))
                return false;
            result = true;
        } else if (is_type(&e, "end")) {
            ended = true;
        }
    }
    if (last == 0)
        return bad(a, "the stream held no event");
    if (!result)
        return bad(a, "the stream ended without a result, behind event %llu",
                   (unsigned long long) last);
    return ended || bad(a, "the stream was cut off behind its result");
}

/* ---- messages ---- */
static bool check_health_message(struct answers *a, const Novelengine__V1__Health *m)
{
    if (strcmp(m->status, "healthy") != 0)
        return bad(a, "'status' is '%.40s', not 'healthy'", m->status);
    if (strcmp(m->api, "running") != 0)
        return bad(a, "'api' is '%.40s', not 'running'", m->api);
    return (m->timestamp[0] != '\0' && m->version[0] != '\0') ||
           bad(a, "'timestamp' or 'version' is empty");
}

static bool check_characters_message(struct answers *a,
                                     const Novelengine__V1__ListCharactersResponse *m)
{
    for (size_t i = 0; i < REQUEST_CAST; i++) {
        bool found = false;
        for (size_t k = 0; k < m->n_characters; k++)
            found |= strcmp(m->characters[k], request_cast[i]) == 0;
        if (!found)
            return bad(a, "'characters' does not hold '%s'", request_cast[i]);
    }
    return true;
}

static bool check_character_message(struct answers *a, const Novelengine__V1__Character *m,
                                    const char *id)
{
    if (strcmp(m->character_id, id) != 0)
        return bad(a, "'character_id' is '%.40s', not '%s'", m->character_id, id);
    return (m->name[0] != '\0' && m->background_summary[0] != '\0' && m->n_skills > 0) ||
           bad(a, "'name', 'background_summary' or 'skills' is empty");
}

bool answers_check_result(struct answers *a, int32_t turns,
                          const Novelengine__V1__SimulationResult *m)
{
    if (m->story[0] == '\0')
        return bad(a, "'story' is empty");
    snprintf(a->simulation, sizeof a->simulation, "%.127s", m->simulation_id);
    bool same = m->n_participants == REQUEST_CAST;
    for (size_t i = 0; same && i < REQUEST_CAST; i++)
        same = strcmp(m->participants[i], request_cast[i]) == 0;
    if (!same)
        return bad(a, "'participants' are not those that were sent");
    if (m->turns_executed != turns)
        return bad(a, "'turns_executed' is %d, not %d", (int) m->turns_executed, (int) turns);
    return m->duration_seconds > 0 || bad(a, "'duration_seconds' is not above 0");
}

bool answers_check_message(struct answers *a, const struct request *r, int32_t turns,
                           const ProtobufCMessage *m)
{
    if (m == NULL)
        return bad(a, "the answer holds no message");
    switch (r->kind) {
    case REQUEST_HEALTH:
        return check_health_message(a, (const Novelengine__V1__Health *) m);
    case REQUEST_CHARACTERS:
        return check_characters_message(a, (const Novelengine__V1__ListCharactersResponse *) m);
    case REQUEST_CHARACTER:
        return check_character_message(a, (const Novelengine__V1__Character *) m, r->character);
    case REQUEST_SIMULATION:
    case REQUEST_STREAM:
        break;
    }
    return answers_check_result(a, turns, (const Novelengine__V1__SimulationResult *) m);
}
