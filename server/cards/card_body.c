/* card_body.c — the Markdown of a card as plain text, section by section. */
#include <cmark.h>
#include <stdio.h>
#include <string.h>

#include "rpc/base/buf.h"
#include "rpc/base/check.h"
#include "server/cards/card.h"

#define SECTION_POINTS_MAX 5000 /* as the contract's rules for these fields */

static void text_of(cmark_node *block, struct buf *out)
{
    cmark_iter *it = cmark_iter_new(block);
    if (it == NULL) {
        out->failed = true;
        return;
    }
    for (cmark_event_type e = cmark_iter_next(it); e != CMARK_EVENT_DONE; e = cmark_iter_next(it)) {
        cmark_node *node = cmark_iter_get_node(it);
        cmark_node_type type = cmark_node_get_type(node);
        if (e == CMARK_EVENT_ENTER && (type == CMARK_NODE_TEXT || type == CMARK_NODE_CODE))
            buf_puts(out, cmark_node_get_literal(node));
        else if (e == CMARK_EVENT_ENTER && type == CMARK_NODE_SOFTBREAK)
            buf_putc(out, ' ');
        else if (e == CMARK_EVENT_ENTER && type == CMARK_NODE_LINEBREAK)
            buf_putc(out, '\n');
        else if (e == CMARK_EVENT_EXIT && type == CMARK_NODE_PARAGRAPH && node != block)
            buf_putc(out, '\n');
    }
    cmark_iter_free(it);
    while (out->size > 0 && out->data[out->size - 1] == '\n')
        out->size--;
}

/* The field that a heading opens; NULL when no such section exists. */
static char **section_field(NE(Character) * c, const char *heading)
{
    const struct {
        const char *heading;
        char **field;
    } sections[] = {
        { "Background", &c->background_summary },
        { "Personality", &c->personality_traits },
        { "Status", &c->current_status },
        { "Context", &c->narrative_context },
    };
    for (size_t i = 0; i < ARRAY_SIZE(sections); i++)
        if (strcmp(heading, sections[i].heading) == 0)
            return sections[i].field;
    return NULL;
}

static int body_fail(struct card_error *err, int line, const char *format, const char *what)
{
    err->line = line;
    snprintf(err->message, sizeof err->message, format, what);
    return -1;
}

static int section_close(struct buf *text, char **field, struct arena *a, struct card_error *err)
{
    if (text->failed)
        return body_fail(err, err->line, "%s", "out of memory");
    if (text->size > SECTION_POINTS_MAX)
        return body_fail(err, err->line, "%s", "the section is longer than 5,000 bytes");
    *field = arena_strndup(a, buf_text(text), text->size);
    buf_reset(text);
    return *field == NULL ? body_fail(err, err->line, "%s", "out of memory") : 0;
}

static int body_walk(cmark_node *document, int line, struct arena *a, NE(Character) * c,
                     struct buf *text, struct card_error *err)
{
    char **field = &c->background_summary;
    for (cmark_node *block = cmark_node_first_child(document); block != NULL;
         block = cmark_node_next(block)) {
        cmark_node_type type = cmark_node_get_type(block);
        int at = line + cmark_node_get_start_line(block) - 1;
        err->line = at;
        if (type == CMARK_NODE_HEADING) {
            struct buf heading = { 0 };
            text_of(block, &heading);
            char **next = section_field(c, buf_str(&heading));
            int r =
                next == NULL
                    ? body_fail(err, at,
                                "there is no section \"%s\"; there are Background, Personality, "
                                "Status and Context",
                                buf_str(&heading))
                    : 0;
            buf_done(&heading);
            if (r < 0 || section_close(text, field, a, err) < 0)
                return -1;
            field = next;
            if ((*field)[0] != '\0')
                return body_fail(err, at, "%s", "the section stands twice");
        } else if (type == CMARK_NODE_PARAGRAPH || type == CMARK_NODE_LIST ||
                   type == CMARK_NODE_BLOCK_QUOTE) {
            if (text->size > 0)
                buf_puts(text, "\n\n");
            text_of(block, text);
        } else {
            return body_fail(err, at,
                             "only paragraphs, lists, quotes and headings may stand here, not %s",
                             cmark_node_get_type_string(block));
        }
    }
    return section_close(text, field, a, err);
}

int card_parse_body(const char *text, size_t size, int line, struct arena *a, NE(Character) * c,
                    struct card_error *err)
{
    cmark_node *document = cmark_parse_document(text, size, CMARK_OPT_DEFAULT);
    if (document == NULL)
        return body_fail(err, line, "%s", "out of memory");
    struct buf out = { 0 };
    err->line = line;
    int r = body_walk(document, line, a, c, &out, err);
    buf_done(&out);
    cmark_node_free(document);
    if (r == 0 && c->background_summary[0] == '\0')
        r = body_fail(err, line, "%s", "the card says nothing about the character's background");
    return r;
}
