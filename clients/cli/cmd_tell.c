/* tell: a stored log told again. */
#include "clients/cli/ctl.h"

#include <string.h>

#include "server/service/document.h"

/* The document in the format that was asked for; the server sends passages and Markdown. */
static bool put_document(const Novelengine__V1__StoryDocument *story, const char *id,
                         enum document_format format, struct buf *out)
{
    if (format == DOCUMENT_MARKDOWN) {
        buf_puts(out, story->markdown);
        return !out->failed;
    }
    struct arena a;
    arena_init(&a, 16384);
    struct document_chapter chapter;
    const char *identifier = arena_printf(&a, "urn:novel-engine:%s", id);
    bool made = identifier != NULL && document_chapter_from_story(story, "", &a, &chapter);
    if (made) {
        struct document d = { .title = story->title,
                              .language = story->telling != NULL ? story->telling->language : "",
                              .identifier = identifier,
                              .chapters = &chapter,
                              .chapters_count = 1 };
        document_write(&d, format, out);
    }
    arena_done(&a);
    return made && !out->failed;
}

int cmd_tell(struct ctl *c)
{
    Novelengine__V1__TellStoryRequest request = NOVELENGINE__V1__TELL_STORY_REQUEST__INIT;
    Novelengine__V1__Telling telling = NOVELENGINE__V1__TELLING__INIT;
    Google__Protobuf__UInt32Value words = GOOGLE__PROTOBUF__UINT32_VALUE__INIT;
    int format = document_format_find(ctl_text(c, FLAG_FORMAT));
    if (format < 0)
        return ctl_problem(EXIT_USAGE, "--format must be markdown, text, html or epub, not '%s'",
                           ctl_text(c, FLAG_FORMAT));
    telling.narrative_style = ctl_text(c, FLAG_STYLE);
    telling.perspective = ctl_text(c, FLAG_PERSPECTIVE);
    telling.focaliser = ctl_text(c, FLAG_FOCALISER);
    words.value = (uint32_t) c->args.number[FLAG_WORDS];
    telling.words = args_has(&c->args, FLAG_WORDS) ? &words : NULL;
    request.simulation_id = (char *) c->args.positional[0];
    request.telling = &telling;
    nrpc_msg *m;
    const Novelengine__V1__StoryDocument *story;
    if (novelengine_v1_novel_engine_tell_story(c->client, &c->options, &request, &m, &story,
                                               &c->status) != NRPC_OK)
        return ctl_fail(c, &c->status);
    struct buf out = { 0 };
    int code;
    if (c->json)
        code = ctl_print_json(&story->base);
    else if (!put_document(story, request.simulation_id, (enum document_format) format, &out))
        code = ctl_problem(EXIT_FAILED, "out of memory");
    else
        code = ctl_put_story(c, out.data, out.size, document_content_type((enum document_format) format));
    buf_done(&out);
    nrpc_msg_free(m);
    return code;
}
