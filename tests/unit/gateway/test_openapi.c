/* The OpenAPI document: of our contract and of a foreign service, read back by jansson. */
#include "tests/unit/gateway/support.h"

#include <jansson.h>

#include "gateway/table.h"
#include "novel_engine_documented.h"

static json_t *document_of(const void *set, size_t size)
{
    struct table *a, *b;
    char why[512];
    json_error_t error;
    const struct table_source source = { .set = set, .set_size = size, .prefix = "/api" };
    assert_int_equal(table_new(&source, &a, why), 0);
    assert_int_equal(table_new(&source, &b, why), 0);
    assert_int_equal(a->openapi.size, b->openapi.size); /* the same bytes each time */
    assert_memory_equal(a->openapi.data, b->openapi.data, a->openapi.size);
    json_t *doc =
        json_loadb((const char *) a->openapi.data, a->openapi.size, JSON_REJECT_DUPLICATES, &error);
    if (doc == NULL)
        fail_msg("%s at %d", error.text, error.position);
    table_unref(a);
    table_unref(b);
    return doc;
}

/* Every "$ref" leads somewhere. */
static void check_references(const json_t *doc, const json_t *at)
{
    const char *key;
    json_t *value;
    size_t i;
    const json_t *reference = json_object_get(at, "$ref");
    if (reference != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%s", json_string_value(reference) + 2);
        const json_t *target = doc;
        for (char *save, *part = strtok_r(path, "/", &save); part != NULL;
             part = strtok_r(NULL, "/", &save))
            target = json_object_get(target, part);
        if (target == NULL)
            fail_msg("%s leads nowhere", json_string_value(reference));
    }
    if (json_is_object(at)) {
        json_object_foreach((json_t *) (uintptr_t) at, key, value) check_references(doc, value);
    } else if (json_is_array(at)) {
        json_array_foreach(at, i, value) check_references(doc, value);
    }
}

/* What a "$ref" leads to; anything else is that itself. */
static const json_t *resolved(const json_t *doc, const json_t *item)
{
    const char *reference = json_string_value(json_object_get(item, "$ref"));
    if (reference == NULL)
        return item;
    assert_int_equal(strncmp(reference, "#/components/parameters/", 24), 0);
    return json_object_get(json_object_get(json_object_get(doc, "components"), "parameters"),
                           reference + 24);
}

/* A line, not a paragraph. */
static void check_summary(const json_t *operation)
{
    const char *summary = json_string_value(json_object_get(operation, "summary"));
    assert_non_null(summary);
    size_t size = strlen(summary);
    if (size == 0 || size > 120 || summary[size - 1] == '.')
        fail_msg("\"%s\"", summary);
}

/* Names of operations are unique; path parameters are those of the path, and required. */
static size_t check_operations(const json_t *doc)
{
    const char *path, *method, *ids[1024];
    json_t *item, *operation, *parameter;
    size_t n = 0, i;
    json_object_foreach(json_object_get(doc, "paths"), path, item)
    {
        json_object_foreach(item, method, operation)
        {
            ids[n] = json_string_value(json_object_get(operation, "operationId"));
            assert_non_null(ids[n]);
            for (size_t k = 0; k < n; k++)
                assert_string_not_equal(ids[k], ids[n]);
            n++;
            check_summary(operation);
            assert_non_null(json_object_get(json_object_get(operation, "responses"), "default"));
            json_array_foreach(json_object_get(operation, "parameters"), i, parameter)
            {
                char braced[300];
                parameter = (json_t *) (uintptr_t) resolved(doc, parameter);
                bool in_path =
                    strcmp(json_string_value(json_object_get(parameter, "in")), "path") == 0;
                snprintf(braced, sizeof braced, "{%s}",
                         json_string_value(json_object_get(parameter, "name")));
                assert_int_equal(strstr(path, braced) != NULL, in_path);
                assert_int_equal(json_is_true(json_object_get(parameter, "required")), in_path);
            }
        }
    }
    return n;
}

static const json_t *at(const json_t *doc, const char *path)
{
    char copy[300];
    snprintf(copy, sizeof copy, "%s", path);
    for (char *save, *part = strtok_r(copy, "|", &save); part != NULL;
         part = strtok_r(NULL, "|", &save))
        doc = json_object_get(doc, part);
    return doc;
}

static void our_contract(void **state)
{
    (void) state;
    json_t *doc = document_of(novel_engine_documented, novel_engine_documented_size);
    check_references(doc, doc);
    assert_true(check_operations(doc) > 30);
    assert_string_equal(json_string_value(json_object_get(doc, "openapi")), "3.1.0");
    const json_t *request =
        at(doc, "components|schemas|novelengine.v1.SimulationRequest|properties");
    const json_t *names = json_object_get(request, "character_names");
    assert_int_equal(json_integer_value(json_object_get(names, "minItems")), 2);
    assert_int_equal(json_integer_value(json_object_get(names, "maxItems")), 6);
    assert_true(json_is_true(json_object_get(names, "uniqueItems")));
    assert_int_equal(json_integer_value(at(request, "scenario|maxLength")), 5000);
    assert_string_equal(json_string_value(at(request, "seed|type")), "integer");
    assert_non_null(at(
        doc,
        "paths|/simulations/{simulation_id}/events|get|responses|200|content|text/event-stream"));
    assert_non_null(at(doc, "paths|/characters/{character_id}|patch|requestBody"));
    assert_non_null(at(doc, "paths|/characters|post|responses|201"));
    assert_non_null(at(doc, "paths|/simulations|post|responses|422"));
    assert_non_null(at(doc, "paths|/simulations|post|description"));
    assert_string_equal(json_string_value(at(doc, "paths|/simulations|post|summary")),
                        "Runs to the end and answers with the story");
    assert_string_equal(json_string_value(at(doc, "paths|/simulations:direct|get|summary")),
                        "Interactive: commands in, updates out");
    json_decref(doc);
}

static bool refers(const json_t *doc, const char *operation, const char *name)
{
    size_t i;
    json_t *parameter;
    json_array_foreach(json_object_get(at(doc, operation), "parameters"), i, parameter)
    {
        const json_t *p = resolved(doc, parameter);
        if (strcmp(json_string_value(json_object_get(p, "name")), name) == 0)
            return p != parameter;
    }
    return false;
}

/* Every parameter that the gateway itself reads, where it has an effect. */
static void the_form_of_answers_is_told(void **state)
{
    (void) state;
    static const char *const names[] = { "$fields", "$pretty", "$defaults",
                                         "$enums",  "$int64",  "$names" };
    json_t *doc = document_of(novel_engine_documented, novel_engine_documented_size);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (!refers(doc, "paths|/characters|get", names[i]) ||
            !refers(doc, "paths|/simulations:stream|post", names[i]))
            fail_msg("%s", names[i]);
        assert_false(refers(doc, "paths|/simulations/{simulation_id}/story|get", names[i]));
        assert_false(refers(doc, "paths|/characters/{character_id}|delete", names[i]));
    }
    assert_true(refers(doc, "paths|/simulations:stream|post", "$end"));
    assert_false(refers(doc, "paths|/characters|get", "$end"));
    const json_t *shared = at(doc, "components|parameters");
    assert_int_equal(json_object_size(shared), 7);
    assert_string_equal(json_string_value(at(shared, "pretty|schema|type")), "boolean");
    assert_int_equal(json_array_size(at(shared, "names|schema|enum")), 2);
    json_decref(doc);
}

static void a_foreign_service(void **state)
{
    (void) state;
    struct buf set = { 0 };
    read_file(FOREIGN_FDS, &set);
    json_t *doc = document_of(set.data, set.size);
    check_references(doc, doc);
    assert_true(check_operations(doc) > 3);
    assert_string_equal(json_string_value(at(doc, "paths|/v1/documents/{title}|post|summary")),
                        "Store document"); /* nobody said what it does */
    json_decref(doc);
    buf_done(&set);
}

static void without_memory_there_is_no_table(void **state)
{
    (void) state;
    struct buf set = { 0 };
    read_file(FOREIGN_FDS, &set);
    for (uint64_t n = 1;; n += 7) {
        struct table *t = NULL;
        char why[512] = "";
        alloc_fail_at(n);
        const struct table_source source = { .set = set.data, .set_size = set.size, .prefix = "" };
        int r = table_new(&source, &t, why);
        alloc_fail_at(0);
        if (r == 0) {
            table_unref(t);
            break;
        }
        assert_null(t);
        assert_true(*why != '\0');
    }
    buf_done(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_contract),
        cmocka_unit_test(the_form_of_answers_is_told),
        cmocka_unit_test(a_foreign_service),
        cmocka_unit_test(without_memory_there_is_no_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
