/* The service's pure parts: field masks, the error registry. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"
#include "rpc/base/check.h"
#include "server/service/errors.h"
#include "server/service/mask.h"

struct masked {
    NE(Character) to, from;
    NE(Persona) to_persona, from_persona;
    struct arena arena;
    nrpc_status st;
};

static void start(struct masked *m)
{
    memset(m, 0, sizeof *m);
    novelengine__v1__character__init(&m->to);
    novelengine__v1__character__init(&m->from);
    novelengine__v1__persona__init(&m->to_persona);
    novelengine__v1__persona__init(&m->from_persona);
    arena_init(&m->arena, 256);
    m->to.character_id = m->from.character_id = "pilot";
    m->to.name = "Old Name";
    m->to.current_status = "old status";
    m->to.persona = &m->to_persona;
    m->to_persona.age = 40;
    m->to_persona.role = "old role";
}

static int apply(struct masked *m, const char *path)
{
    char *paths[] = { (char *) path };
    PB(FieldMask) mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    mask.n_paths = path == NULL ? 0 : 1;
    mask.paths = paths;
    return mask_apply(&m->to.base, &m->from.base, path == NULL ? NULL : &mask, &m->arena, &m->st);
}

static void end(struct masked *m)
{
    arena_done(&m->arena);
    nrpc_status_clear(&m->st);
}

static void test_absent_mask_takes_what_is_set(void **state)
{
    (void) state;
    struct masked m;
    start(&m);
    m.from.current_status = "new status";
    m.from.etag = "never taken";
    assert_int_equal(apply(&m, NULL), 0);
    assert_string_equal(m.to.current_status, "new status");
    assert_string_equal(m.to.name, "Old Name");
    assert_string_equal(m.to.etag, "");
    assert_ptr_equal(m.to.persona, &m.to_persona);
    end(&m);
}

static void test_named_field_is_cleared_by_absence(void **state)
{
    (void) state;
    struct masked m;
    start(&m);
    assert_int_equal(apply(&m, "current_status"), 0);
    assert_string_equal(m.to.current_status, "");
    assert_string_equal(m.to.name, "Old Name");
    end(&m);
}

static void test_nested_path_changes_a_copy(void **state)
{
    (void) state;
    struct masked m;
    start(&m);
    m.from.persona = &m.from_persona;
    m.from_persona.age = 41;
    m.from_persona.role = "not named";
    assert_int_equal(apply(&m, "persona.age"), 0);
    assert_int_equal(m.to.persona->age, 41);
    assert_string_equal(m.to.persona->role, "old role");
    assert_int_equal(m.to_persona.age, 40); /* the old character is shared with readers */
    end(&m);
    start(&m);
    m.to.persona = NULL;
    m.from.persona = &m.from_persona;
    m.from_persona.age = 7;
    assert_int_equal(apply(&m, "persona.age"), 0);
    assert_int_equal(m.to.persona->age, 7);
    end(&m);
}

static void test_star_takes_all_but_what_the_server_decides(void **state)
{
    (void) state;
    struct masked m;
    start(&m);
    m.from.name = "New Name";
    m.from.character_id = "other";
    assert_int_equal(apply(&m, "*"), 0);
    assert_string_equal(m.to.name, "New Name");
    assert_string_equal(m.to.current_status, "");
    assert_null(m.to.persona);
    assert_string_equal(m.to.character_id, "pilot");
    end(&m);
}

static void test_refused_paths(void **state)
{
    (void) state;
    static const char *const passed_over[] = { "etag", "character_id", "create_time" };
    static const char *const bad[] = { "nope",         "persona.nope", "name.x", "skills.piloting",
                                       "",              ".",      "persona.",        ".name",
                                       "persona..age" };
    for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
        struct masked m;
        start(&m);
        assert_int_equal(apply(&m, bad[i]), -1);
        assert_int_equal(m.st.code, NRPC_INVALID_ARGUMENT);
        assert_non_null(strstr(m.st.message, "update_mask"));
        end(&m);
    }
    for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++) { /* AIP-203 */
        struct masked m;
        start(&m);
        m.from.etag = "never taken";
        m.from.character_id = "other";
        assert_int_equal(apply(&m, passed_over[i]), 0);
        assert_string_equal(m.to.etag, "");
        assert_string_equal(m.to.character_id, "pilot");
        assert_null(m.to.create_time);
        end(&m);
    }
}

static void test_every_error_has_its_info(void **state)
{
    (void) state;
    for (int r = 0; r < ERROR_REASONS; r++) {
        const struct error_entry *e = error_entry((enum error_reason) r);
        assert_non_null(e->reason);
        assert_true(strlen(e->reason) <= 63 && strlen(e->help) > 5);
        assert_true(e->code != NRPC_OK);
        for (int before = 0; before < r; before++)
            assert_string_not_equal(e->reason, error_entry((enum error_reason) before)->reason);
        nrpc_status st = NRPC_STATUS_INIT;
        error_set(&st, (enum error_reason) r, "said %d", 7);
        assert_int_equal(st.code, e->code);
        assert_string_equal(st.message, "said 7");
        Google__Rpc__Status *packed = google__rpc__status__unpack(NULL, st.details_size, st.details);
        assert_non_null(packed);
        size_t infos = 0;
        for (size_t i = 0; i < packed->n_details; i++) {
            if (strcmp(packed->details[i]->type_url, "type.googleapis.com/google.rpc.ErrorInfo") != 0)
                continue;
            Google__Rpc__ErrorInfo *info = google__rpc__error_info__unpack(
                NULL, packed->details[i]->value.len, packed->details[i]->value.data);
            assert_non_null(info);
            assert_string_equal(info->reason, e->reason);
            assert_string_equal(info->domain, NOVEL_DOMAIN);
            google__rpc__error_info__free_unpacked(info, NULL);
            infos++;
        }
        assert_int_equal(infos, 1);
        google__rpc__status__free_unpacked(packed, NULL);
        nrpc_status_clear(&st);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_absent_mask_takes_what_is_set),
        cmocka_unit_test(test_named_field_is_cleared_by_absence),
        cmocka_unit_test(test_nested_path_changes_a_copy),
        cmocka_unit_test(test_star_takes_all_but_what_the_server_decides),
        cmocka_unit_test(test_refused_paths),
        cmocka_unit_test(test_every_error_has_its_info),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
