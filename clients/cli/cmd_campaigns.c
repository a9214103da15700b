/* campaigns: list, create, show, update, delete, manuscript: novels in chapters. */
#include "clients/cli/ctl.h"

#include <stdio.h>
#include <unistd.h>

#include "clients/cli/table.h"

enum { PAGE_SIZE = 100, TEXT_WIDTH_MAX = 88 };

/* ---- list ---- */
static void add_row(struct table *t, const Novelengine__V1__Campaign *p)
{
    char chapters[16], turns[16];
    snprintf(chapters, sizeof chapters, "%zu", p->n_chapters);
    snprintf(turns, sizeof turns, "%d", p->current_turn);
    table_add(t, (const char *[]){ p->campaign_id, p->status, chapters, turns, p->name });
}

/* Every page; with --json each is one line. */
static int list_pages(struct ctl *c, struct table *t)
{
    Novelengine__V1__ListCampaignsRequest request = NOVELENGINE__V1__LIST_CAMPAIGNS_REQUEST__INIT;
    nrpc_msg *page = NULL;
    int code = EXIT_OK;
    request.page_size = PAGE_SIZE;
    do {
        nrpc_msg *m;
        const Novelengine__V1__ListCampaignsResponse *r;
        if (novelengine_v1_novel_engine_list_campaigns(c->client, &c->options, &request, &m, &r,
                                                       &c->status) != NRPC_OK) {
            code = ctl_fail(c, &c->status);
            break;
        }
        nrpc_msg_free(page); /* its token was sent */
        page = m;
        for (size_t i = 0; i < r->n_details && !c->json; i++)
            add_row(t, r->details[i]);
        if (c->json)
            code = ctl_print_json(&r->base);
        request.page_token = r->next_page_token;
    } while (code == EXIT_OK && request.page_token[0] != '\0');
    nrpc_msg_free(page);
    return code;
}

int cmd_campaigns_list(struct ctl *c)
{
    struct table t;
    struct buf b = { 0 };
    table_init(&t, 5);
    table_add(&t, (const char *[]){ "ID", "STATUS", "CHAPTERS", "TURNS", "NAME" });
    int code = list_pages(c, &t);
    bool empty = t.first == NULL || t.first->next == NULL;
    table_put(&t, &b, isatty(STDOUT_FILENO) ? c->width_out : 0, c->color_out);
    if (code == EXIT_OK && !c->json && empty)
        ctl_hint(c, "There are none yet. Make one:  novelctl%s campaigns create NAME pilot scientist",
                 ctl_server_flag(c));
    else if (code == EXIT_OK && !c->json)
        code = ctl_print(&b);
    buf_done(&b);
    return code;
}

/* ---- show ---- */
static void put_chapters(struct buf *b, const struct ctl *c, const Novelengine__V1__Campaign *p)
{
    struct table t;
    table_init(&t, 4);
    table_add(&t, (const char *[]){ "CHAPTER", "SIMULATION", "WORDS", "TITLE" });
    for (size_t i = 0; i < p->n_chapters; i++) {
        const Novelengine__V1__Campaign__Chapter *chapter = p->chapters[i];
        char number[24], words[16];
        snprintf(number, sizeof number, "%zu", i + 1);
        snprintf(words, sizeof words, "%d", chapter->word_count);
        table_add(&t, (const char *[]){ number, chapter->simulation_id, words,
                                        chapter->title[0] != '\0' ? chapter->title : "(being written)" });
    }
    buf_putc(b, '\n');
    table_put(&t, b, isatty(STDOUT_FILENO) ? c->width_out : 0, c->color_out);
}

static int print_campaign(struct ctl *c, const Novelengine__V1__Campaign *p)
{
    if (c->json)
        return ctl_print_json(&p->base);
    struct buf text = { 0 }, b = { 0 };
    buf_printf(&text, "id          %s\nname        %s\nstatus      %s\ncast        ", p->campaign_id,
               p->name, p->status);
    for (size_t i = 0; i < p->n_participants; i++)
        buf_printf(&text, "%s%s", i > 0 ? ", " : "", p->participants[i]);
    buf_printf(&text, "\nturns       %d\nmade        %s\n", p->current_turn, p->created_at);
    term_put_safe(&b, buf_str(&text));
    if (p->description[0] != '\0') {
        buf_putc(&b, '\n');
        term_put_story(&b, p->description,
                       c->width_out > TEXT_WIDTH_MAX ? TEXT_WIDTH_MAX : c->width_out - 1,
                       c->color_out);
    }
    if (p->n_chapters > 0)
        put_chapters(&b, c, p);
    b.failed |= text.failed;
    buf_done(&text);
    return ctl_print(&b);
}

int cmd_campaigns_show(struct ctl *c)
{
    Novelengine__V1__GetCampaignRequest request = NOVELENGINE__V1__GET_CAMPAIGN_REQUEST__INIT;
    request.campaign_id = (char *) c->args.positional[0];
    nrpc_msg *m;
    const Novelengine__V1__Campaign *p;
    if (novelengine_v1_novel_engine_get_campaign(c->client, &c->options, &request, &m, &p,
                                                 &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = print_campaign(c, p);
    nrpc_msg_free(m);
    return code;
}

/* ---- create and update ---- */
int cmd_campaigns_create(struct ctl *c)
{
    Novelengine__V1__Campaign campaign = NOVELENGINE__V1__CAMPAIGN__INIT;
    Novelengine__V1__CreateCampaignRequest request = NOVELENGINE__V1__CREATE_CAMPAIGN_REQUEST__INIT;
    campaign.name = (char *) c->args.positional[0];
    campaign.description = ctl_text(c, FLAG_DESCRIPTION);
    campaign.participants = (char **) c->args.positional + 1;
    campaign.n_participants = c->args.n - 1;
    request.campaign = &campaign;
    nrpc_msg *m;
    const Novelengine__V1__Campaign *made;
    if (novelengine_v1_novel_engine_create_campaign(c->client, &c->options, &request, &m, &made,
                                                    &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&made->base);
    } else {
        struct buf b = { 0 };
        buf_printf(&b, "%s\n", made->campaign_id);
        code = ctl_print(&b);
        if (isatty(STDOUT_FILENO))
            ctl_hint(c, "  write its first chapter:  novelctl%s simulate %s %s --campaign %s",
                     ctl_server_flag(c), campaign.participants[0],
                     campaign.n_participants > 1 ? campaign.participants[1] : "ID", made->campaign_id);
    }
    nrpc_msg_free(m);
    return code;
}

int cmd_campaigns_update(struct ctl *c)
{
    Novelengine__V1__Campaign campaign = NOVELENGINE__V1__CAMPAIGN__INIT;
    Novelengine__V1__UpdateCampaignRequest request = NOVELENGINE__V1__UPDATE_CAMPAIGN_REQUEST__INIT;
    Google__Protobuf__FieldMask mask = GOOGLE__PROTOBUF__FIELD_MASK__INIT;
    char *paths[2];
    mask.paths = paths;
    if (args_has(&c->args, FLAG_NAME))
        paths[mask.n_paths++] = "name";
    if (args_has(&c->args, FLAG_DESCRIPTION)) /* an empty one takes it away */
        paths[mask.n_paths++] = "description";
    if (mask.n_paths == 0)
        return ctl_problem(EXIT_USAGE, "nothing to change: give --name or --description");
    campaign.campaign_id = (char *) c->args.positional[0];
    campaign.name = ctl_text(c, FLAG_NAME);
    campaign.description = ctl_text(c, FLAG_DESCRIPTION);
    request.campaign = &campaign;
    request.update_mask = &mask;
    nrpc_msg *m;
    const Novelengine__V1__Campaign *made;
    if (novelengine_v1_novel_engine_update_campaign(c->client, &c->options, &request, &m, &made,
                                                    &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code;
    if (c->json) {
        code = ctl_print_json(&made->base);
    } else {
        struct buf b = { 0 };
        buf_printf(&b, "%s updated\n", made->campaign_id);
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code;
}

/* ---- delete and manuscript ---- */
int cmd_campaigns_delete(struct ctl *c)
{
    Novelengine__V1__DeleteCampaignRequest request = NOVELENGINE__V1__DELETE_CAMPAIGN_REQUEST__INIT;
    request.campaign_id = (char *) c->args.positional[0];
    request.cascade = args_has(&c->args, FLAG_FORCE);
    nrpc_msg *m;
    const Google__Protobuf__Empty *empty;
    if (novelengine_v1_novel_engine_delete_campaign(c->client, &c->options, &request, &m, &empty,
                                                    &c->status) != NRPC_OK) {
        bool chapters = c->status.code == NRPC_FAILED_PRECONDITION && !request.cascade;
        int code = ctl_fail(c, &c->status);
        if (chapters)
            ctl_hint(c, "Hint: --force deletes its chapters with it.");
        return code;
    }
    int code = EXIT_OK;
    if (c->json) {
        code = ctl_print_json(&empty->base);
    } else {
        struct buf b = { 0 };
        buf_printf(&b, "%s deleted\n", request.campaign_id);
        code = ctl_print(&b);
    }
    nrpc_msg_free(m);
    return code;
}

int cmd_campaigns_manuscript(struct ctl *c)
{
    Novelengine__V1__GetManuscriptRequest request = NOVELENGINE__V1__GET_MANUSCRIPT_REQUEST__INIT;
    request.campaign_id = (char *) c->args.positional[0];
    request.format = ctl_text(c, FLAG_FORMAT);
    if (request.format[0] == '\0')
        request.format = "markdown";
    nrpc_msg *m;
    const Google__Api__HttpBody *body;
    if (novelengine_v1_novel_engine_get_manuscript(c->client, &c->options, &request, &m, &body,
                                                   &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    int code = c->json ? ctl_print_json(&body->base)
                       : ctl_put_story(c, body->data.data, body->data.len, body->content_type);
    nrpc_msg_free(m);
    return code;
}
