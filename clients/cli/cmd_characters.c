/* characters: list, show, create, update, delete, reset. */
#include "clients/cli/ctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clients/cli/fill.h"
#include "clients/cli/table.h"

enum { FILE_MAX = 4 << 20, TEXT_WIDTH_MAX = 88 };

int cmd_characters_list(struct ctl *c)
{
    Novelengine__V1__ListCharactersRequest request = NOVELENGINE__V1__LIST_CHARACTERS_REQUEST__INIT;
    request.view = NOVELENGINE__V1__LIST_CHARACTERS_REQUEST__VIEW__VIEW_FULL;
    if (c->json && !args_has(&c->args, FLAG_FULL))
        request.view = NOVELENGINE__V1__LIST_CHARACTERS_REQUEST__VIEW__VIEW_NAMES;
    nrpc_msg *m;
    const Novelengine__V1__ListCharactersResponse *r;
    if (novelengine_v1_novel_engine_list_characters(c->client, &c->options, &request, &m, &r,
                                                    &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&r->base);
    } else {
        struct table t;
        struct buf b = { 0 };
        table_init(&t, 3);
        table_add(&t, (const char *[]){ "ID", "NAME", "ROLE" });
        for (size_t i = 0; i < r->n_characters; i++) {
            const Novelengine__V1__Character *p = i < r->n_profiles ? r->profiles[i] : NULL;
            table_add(&t,
                      (const char *[]){ r->characters[i], p != NULL ? p->name : "",
                                        p != NULL && p->persona != NULL ? p->persona->role : "" });
        }
        table_put(&t, &b, isatty(STDOUT_FILENO) ? c->width_out : 0, c->color_out);
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code;
}

/* ---- show ---- */
static void put_paragraph(struct buf *b, const struct ctl *c, const char *head, const char *text)
{
    if (text[0] == '\0')
        return;
    buf_putc(b, '\n');
    term_put_styled(b, TERM_BOLD, c->color_out, head);
    buf_putc(b, '\n');
    term_put_story(b, text, c->width_out > TEXT_WIDTH_MAX ? TEXT_WIDTH_MAX : c->width_out - 1,
                   c->color_out);
}

static void put_list(struct buf *b, const struct ctl *c, const char *head, char *const *items,
                     size_t n)
{
    struct buf text = { 0 };
    for (size_t i = 0; i < n; i++)
        buf_printf(&text, "%s%s", i > 0 ? "; " : "", items[i]);
    put_paragraph(b, c, head, buf_str(&text));
    buf_done(&text);
}

static void put_persona(struct buf *b, const struct ctl *c, const Novelengine__V1__Persona *p)
{
    struct buf line = { 0 };
    const char *const parts[] = { p->role, p->rank, p->faction, p->pronouns };
    for (size_t i = 0; i < 4; i++)
        if (parts[i][0] != '\0')
            buf_printf(&line, "%s%s", line.size > 0 ? ", " : "", parts[i]);
    if (p->age > 0)
        buf_printf(&line, "%s%d", line.size > 0 ? ", " : "", p->age);
    buf_putc(&line, '\n');
    term_put_safe(b, buf_str(&line));
    buf_done(&line);
    (void) c;
}

static void put_character(struct buf *b, const struct ctl *c, const Novelengine__V1__Character *p)
{
    struct buf head = { 0 }, safe = { 0 }, numbers = { 0 };
    buf_printf(&head, "%s (%s)", p->name, p->character_id);
    term_put_line(&safe, buf_str(&head), 200);
    term_put_styled(b, TERM_BOLD, c->color_out, buf_str(&safe));
    buf_putc(b, '\n');
    if (p->persona != NULL)
        put_persona(b, c, p->persona);
    put_paragraph(b, c, "Background", p->background_summary);
    put_paragraph(b, c, "Traits", p->personality_traits);
    put_paragraph(b, c, "Now", p->current_status);
    put_paragraph(b, c, "Where", p->current_location);
    put_paragraph(b, c, "Context", p->narrative_context);
    for (size_t i = 0; i < p->n_skills; i++)
        buf_printf(&numbers, "%s%s %.2g", i > 0 ? ", " : "", p->skills[i]->key,
                   p->skills[i]->value);
    put_paragraph(b, c, "Skills", buf_str(&numbers));
    buf_reset(&numbers);
    for (size_t i = 0; i < p->n_relationships; i++)
        buf_printf(&numbers, "%s%s %+.2g", i > 0 ? ", " : "", p->relationships[i]->key,
                   p->relationships[i]->value);
    put_paragraph(b, c, "Relationships", buf_str(&numbers));
    put_list(b, c, "Carries", p->inventory, p->n_inventory);
    if (p->persona != NULL) {
        put_list(b, c, "Goals", p->persona->goals, p->persona->n_goals);
        put_list(b, c, "Fears", p->persona->fears, p->persona->n_fears);
        put_list(b, c, "Vows", p->persona->vows, p->persona->n_vows);
    }
    buf_done(&head);
    buf_done(&safe);
    buf_done(&numbers);
}

static int print_character(struct ctl *c, const Novelengine__V1__Character *p)
{
    if (c->json)
        return ctl_print_json(&p->base);
    struct buf b = { 0 };
    put_character(&b, c, p);
    return ctl_print(&b);
}

int cmd_characters_show(struct ctl *c)
{
    Novelengine__V1__GetCharacterRequest request = NOVELENGINE__V1__GET_CHARACTER_REQUEST__INIT;
    request.character_id = (char *) c->args.positional[0];
    nrpc_msg *m;
    const Novelengine__V1__Character *p;
    if (novelengine_v1_novel_engine_get_character(c->client, &c->options, &request, &m, &p,
                                                  &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = print_character(c, p);
    nrpc_msg_free(m);
    return code;
}

/* ---- create and update ---- */
static bool read_file(const char *name, struct buf *out)
{
    FILE *file = strcmp(name, "-") == 0 ? stdin : fopen(name, "rb");
    if (file == NULL) {
        ctl_problem(0, "cannot read %s: %s", name, strerror(errno));
        return false;
    }
    char block[65536];
    size_t n;
    while (out->size <= FILE_MAX && (n = fread(block, 1, sizeof block, file)) > 0)
        buf_put(out, block, n);
    bool good = !ferror(file) && !out->failed;
    if (!good)
        ctl_problem(0, "cannot read %s: %s", name, strerror(errno));
    else if (out->size > FILE_MAX)
        ctl_problem(0, "%s is over 4 MiB", name);
    if (file != stdin)
        fclose(file);
    return good && out->size <= FILE_MAX;
}

/* FILE (may be NULL), then every --set, into p. */
static bool fill_character(struct ctl *c, const char *file, struct fill *f,
                           Novelengine__V1__Character *p)
{
    bool good = true;
    if (file != NULL) {
        struct buf text = { 0 };
        good = read_file(file, &text);
        if (good && !fill_text(f, &p->base, buf_str(&text), text.size)) {
            ctl_problem(0, "%s: %s", file, f->problem);
            good = false;
        }
        buf_done(&text);
    }
    for (size_t i = 0; good && i < c->args.n_sets; i++)
        if (!fill_set(f, &p->base, c->args.sets[i])) {
            const char *reason = strstr(f->problem, ": ");
            ctl_problem(0, "--set %s: %s", c->args.sets[i],
                        reason != NULL ? reason + 2 : f->problem);
            good = false;
        }
    return good;
}

static int print_changed(struct ctl *c, const Novelengine__V1__Character *p, const char *what)
{
    if (c->json)
        return ctl_print_json(&p->base);
    struct buf b = { 0 };
    buf_printf(&b, "%s %s\n", p->character_id, what);
    return ctl_print(&b);
}

int cmd_characters_create(struct ctl *c)
{
    Novelengine__V1__Character character = NOVELENGINE__V1__CHARACTER__INIT;
    Novelengine__V1__CreateCharacterRequest request =
        NOVELENGINE__V1__CREATE_CHARACTER_REQUEST__INIT;
    struct arena arena;
    arena_init(&arena, 4096);
    struct fill f = { .arena = &arena };
    int code = EXIT_USAGE;
    if (fill_character(c, c->args.positional[0], &f, &character)) {
        nrpc_msg *m;
        const Novelengine__V1__Character *made;
        character.etag = (char *) protobuf_c_empty_string; /* of what it was copied from */
        request.character = &character;
        if (novelengine_v1_novel_engine_create_character(c->client, &c->options, &request, &m,
                                                         &made, &c->status) == NRPC_OK) {
            code = print_changed(c, made, "created");
            nrpc_msg_free(m);
        } else {
            code = ctl_fail(c, &c->status);
        }
    }
    arena_done(&arena);
    return code;
}

int cmd_characters_update(struct ctl *c)
{
    Novelengine__V1__Character character = NOVELENGINE__V1__CHARACTER__INIT;
    Novelengine__V1__UpdateCharacterRequest request =
        NOVELENGINE__V1__UPDATE_CHARACTER_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    if (c->args.n < 2 && c->args.n_sets == 0)
        return ctl_problem(EXIT_USAGE, "nothing to change: give a FILE or --set FIELD=VALUE");
    struct arena arena;
    arena_init(&arena, 4096);
    struct fill f = { .arena = &arena };
    int code = EXIT_USAGE;
    if (fill_character(c, c->args.n > 1 ? c->args.positional[1] : NULL, &f, &character)) {
        nrpc_msg *m;
        const Novelengine__V1__Character *made;
        character.character_id = (char *) c->args.positional[0];
        character.etag = ctl_text(c, FLAG_ETAG);
        for (size_t i = 0; i < f.n_paths; i++) { /* what the server sets is in no mask */
            static const char *const own[] = { "character_id", "character_name", "etag",
                                               "create_time", "update_time" };
            bool skip = false;
            for (size_t j = 0; j < sizeof own / sizeof own[0]; j++)
                skip |= strcmp(f.paths[i], own[j]) == 0;
            if (!skip)
                f.paths[mask.n_paths++] = f.paths[i];
        }
        mask.paths = f.paths;
        request.character = &character;
        request.update_mask = &mask;
        if (novelengine_v1_novel_engine_update_character(c->client, &c->options, &request, &m,
                                                         &made, &c->status) == NRPC_OK) {
            code = print_changed(c, made, "updated");
            nrpc_msg_free(m);
        } else {
            code = ctl_fail(c, &c->status);
        }
    }
    arena_done(&arena);
    return code;
}

int cmd_characters_delete(struct ctl *c)
{
    Novelengine__V1__DeleteCharacterRequest request =
        NOVELENGINE__V1__DELETE_CHARACTER_REQUEST__INIT;
    request.character_id = (char *) c->args.positional[0];
    request.etag = ctl_text(c, FLAG_ETAG);
    nrpc_msg *m;
    const Google__Protobuf__Empty *empty;
    if (novelengine_v1_novel_engine_delete_character(c->client, &c->options, &request, &m, &empty,
                                                     &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = EXIT_OK;
    if (c->json)
        code = ctl_print_json(&empty->base);
    else
        printf("%s deleted\n", request.character_id);
    nrpc_msg_free(m);
    return code;
}

int cmd_characters_reset(struct ctl *c)
{
    Novelengine__V1__ResetCharacterRequest request = NOVELENGINE__V1__RESET_CHARACTER_REQUEST__INIT;
    request.character_id = (char *) c->args.positional[0];
    nrpc_msg *m;
    const Novelengine__V1__Character *p;
    if (novelengine_v1_novel_engine_reset_character(c->client, &c->options, &request, &m, &p,
                                                    &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = print_changed(c, p, "is as shipped again");
    nrpc_msg_free(m);
    return code;
}
