/* document_html.c — a page for reading: one file, by day and by night, on paper too. */
#include "server/service/document.h"

const char document_css[] =
    "p { margin: 0; text-indent: 1.4em; hyphens: auto; orphans: 2; widows: 2; }\n"
    "section.scene > p:first-child { text-indent: 0; }\n"
    "section.scene + section.scene::before { content: \"\\2042\"; display: block; text-align: center; "
    "margin: 1.2em 0; opacity: .6; }\n"
    "h1, h2 { font-weight: normal; line-height: 1.2; text-align: center; hyphens: none; }\n"
    "h2 { margin: 3em 0 1.6em; }\n"
    ".subtitle { text-align: center; text-indent: 0; font-style: italic; margin: 0 0 2em; }\n"
    "nav ol { padding-left: 1.6em; }\n"
    "nav li { margin: .3em 0; }\n";

static const char page_css[] =
    ":root { color-scheme: light dark; --paper: #fdfbf7; --ink: #262320; --faint: #8a8178; --mark: #f1e7d2; }\n"
    "@media (prefers-color-scheme: dark) { :root { --paper: #1b1a18; --ink: #d9d4cb; --faint: #8f887d; "
    "--mark: #36302a; } }\n"
    "html { background: var(--paper); color: var(--ink); }\n"
    "body { max-width: 34rem; margin: 0 auto; padding: 4rem 1.25rem 6rem; font: 1.15rem/1.6 Georgia, "
    "\"Iowan Old Style\", \"Palatino Linotype\", \"Noto Serif\", serif; font-kerning: normal; }\n"
    "h1 { font-size: 2.1em; margin: 0 0 1.6em; text-wrap: balance; }\n"
    "header h1 { margin-bottom: .5em; }\n"
    "nav { margin: 3em 0; }\n"
    "nav a { color: inherit; text-decoration-color: var(--faint); text-underline-offset: .2em; }\n"
    ".told:hover { background: var(--mark); }\n"
    "@media print { body { max-width: none; padding: 0; } h2 { break-before: page; } }\n";

static void put_contents(const struct document *d, struct buf *out)
{
    buf_puts(out, "<nav aria-label=\"Contents\">\n<ol>\n");
    for (size_t i = 0; i < d->chapters_count; i++) {
        buf_printf(out, "<li><a href=\"#chapter-%zu\">", i + 1);
        document_put_escaped(d->chapters[i].title, out);
        buf_puts(out, "</a></li>\n");
    }
    buf_puts(out, "</ol>\n</nav>\n");
}

void document_html(const struct document *d, struct buf *out)
{
    bool book = document_is_book(d);
    buf_printf(out,
               "<!doctype html>\n<html lang=\"%s\">\n<head>\n<meta charset=\"utf-8\">\n"
               "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
               "<meta name=\"generator\" content=\"Novel Engine\">\n<title>",
               document_language(d));
    document_put_escaped(d->title, out);
    buf_printf(out, "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<header>\n<h1>", document_css, page_css);
    document_put_escaped(d->title, out);
    buf_puts(out, "</h1>\n");
    if (d->subtitle != NULL && d->subtitle[0] != '\0') {
        buf_puts(out, "<p class=\"subtitle\">");
        document_put_escaped(d->subtitle, out);
        buf_puts(out, "</p>\n");
    }
    buf_puts(out, "</header>\n");
    if (book)
        put_contents(d, out);
    buf_puts(out, "<main>\n");
    for (size_t i = 0; i < d->chapters_count; i++) {
        buf_puts(out, "<article>\n");
        if (book) {
            buf_printf(out, "<h2 id=\"chapter-%zu\">", i + 1);
            document_put_escaped(d->chapters[i].title, out);
            buf_puts(out, "</h2>\n");
        }
        document_put_scenes(&d->chapters[i], true, out);
        buf_puts(out, "</article>\n");
    }
    buf_puts(out, "</main>\n</body>\n</html>\n");
}
