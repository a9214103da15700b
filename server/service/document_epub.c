/* document_epub.c — the document as EPUB 3.3: title page, contents, a file a chapter, one style sheet. */
#include <stdio.h>
#include <string.h>

#include "rpc/base/sha256.h"
#include "server/service/document.h"
#include "server/service/zip.h"

#define XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"

static const char container[] =
    XML_HEAD "<container version=\"1.0\" xmlns=\"urn:oasis:names:tc:opendocument:xmlns:container\">\n"
             "<rootfiles>\n<rootfile full-path=\"EPUB/package.opf\" media-type=\"application/oebps-package+xml\"/>\n"
             "</rootfiles>\n</container>\n";

static const char book_css[] = "body { margin: 0 4%; line-height: 1.5; }\n"
                               "h1 { font-size: 1.8em; margin: 2.4em 0 1em; }\n"
                               ".title-page { text-align: center; margin-top: 20%; }\n";

/* An identifier of one's own, or one that the title gives. */
static void put_identifier(const struct document *d, struct buf *out)
{
    if (d->identifier != NULL && d->identifier[0] != '\0') {
        document_put_escaped(d->identifier, out);
        return;
    }
    const char *title = d->title != NULL ? d->title : "";
    uint8_t digest[SHA256_SIZE];
    char hex[65];
    sha256_of(title, strlen(title), digest);
    sha256_hex(digest, hex);
    buf_printf(out, "urn:novel-engine:%.32s", hex);
}

static void put_package(const struct document *d, struct buf *out)
{
    const char *modified = d->modified != NULL && d->modified[0] != '\0' ? d->modified : "2000-01-01T00:00:00Z";
    buf_printf(out,
               XML_HEAD "<package xmlns=\"http://www.idpf.org/2007/opf\" version=\"3.0\" unique-identifier=\"id\" "
                        "xml:lang=\"%s\">\n<metadata xmlns:dc=\"http://purl.org/dc/elements/1.1/\">\n"
                        "<dc:identifier id=\"id\">",
               document_language(d));
    put_identifier(d, out);
    buf_puts(out, "</dc:identifier>\n<dc:title>");
    document_put_escaped(d->title != NULL && d->title[0] != '\0' ? d->title : "Untitled", out);
    buf_printf(out, "</dc:title>\n<dc:language>%s</dc:language>\n<dc:creator>Novel Engine</dc:creator>\n",
               document_language(d));
    if (d->subtitle != NULL && d->subtitle[0] != '\0') {
        buf_puts(out, "<dc:description>");
        document_put_escaped(d->subtitle, out);
        buf_puts(out, "</dc:description>\n");
    }
    buf_puts(out, "<meta property=\"dcterms:modified\">");
    document_put_escaped(modified, out);
    buf_puts(out, "</meta>\n</metadata>\n<manifest>\n"
                  "<item id=\"nav\" href=\"nav.xhtml\" media-type=\"application/xhtml+xml\" properties=\"nav\"/>\n"
                  "<item id=\"style\" href=\"style.css\" media-type=\"text/css\"/>\n"
                  "<item id=\"title\" href=\"title.xhtml\" media-type=\"application/xhtml+xml\"/>\n");
    for (size_t i = 1; i <= d->chapters_count; i++)
        buf_printf(out, "<item id=\"chapter-%zu\" href=\"chapter-%zu.xhtml\" media-type=\"application/xhtml+xml\"/>\n", i, i);
    buf_puts(out, "</manifest>\n<spine>\n<itemref idref=\"title\"/>\n");
    if (document_is_book(d))
        buf_puts(out, "<itemref idref=\"nav\"/>\n");
    for (size_t i = 1; i <= d->chapters_count; i++)
        buf_printf(out, "<itemref idref=\"chapter-%zu\"/>\n", i);
    buf_puts(out, "</spine>\n</package>\n");
}

static void put_head(const struct document *d, const char *title, const char *body, struct buf *out)
{
    buf_printf(out,
               XML_HEAD "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" "
                        "xmlns:epub=\"http://www.idpf.org/2007/ops\" lang=\"%s\" xml:lang=\"%s\">\n<head>\n"
                        "<meta charset=\"utf-8\"/>\n<title>",
               document_language(d), document_language(d));
    document_put_escaped(title != NULL && title[0] != '\0' ? title : "Untitled", out);
    buf_printf(out, "</title>\n<link rel=\"stylesheet\" type=\"text/css\" href=\"style.css\"/>\n</head>\n<body%s>\n", body);
}

static const char *chapter_title(const struct document *d, size_t i)
{
    const char *title = d->chapters[i].title;
    return title != NULL && title[0] != '\0' ? title : d->title;
}

static void put_nav(const struct document *d, struct buf *out)
{
    put_head(d, "Contents", "", out);
    buf_puts(out, "<nav epub:type=\"toc\" id=\"toc\">\n<h2>Contents</h2>\n<ol>\n");
    if (d->chapters_count == 0)
        buf_puts(out, "<li><a href=\"title.xhtml\">Title page</a></li>\n");
    for (size_t i = 0; i < d->chapters_count; i++) {
        buf_printf(out, "<li><a href=\"chapter-%zu.xhtml\">", i + 1);
        const char *title = chapter_title(d, i);
        document_put_escaped(title != NULL && title[0] != '\0' ? title : "Untitled", out);
        buf_puts(out, "</a></li>\n");
    }
    buf_puts(out, "</ol>\n</nav>\n</body>\n</html>\n");
}

static void put_title_page(const struct document *d, struct buf *out)
{
    put_head(d, d->title, " epub:type=\"frontmatter\"", out);
    buf_puts(out, "<section class=\"title-page\" epub:type=\"titlepage\">\n<h1>");
    document_put_escaped(d->title, out);
    buf_puts(out, "</h1>\n");
    if (d->subtitle != NULL && d->subtitle[0] != '\0') {
        buf_puts(out, "<p class=\"subtitle\">");
        document_put_escaped(d->subtitle, out);
        buf_puts(out, "</p>\n");
    }
    buf_puts(out, "</section>\n</body>\n</html>\n");
}

static void put_chapter(const struct document *d, size_t i, struct buf *out)
{
    put_head(d, chapter_title(d, i), " epub:type=\"bodymatter\"", out);
    buf_puts(out, "<section epub:type=\"chapter\">\n");
    if (document_is_book(d)) {
        buf_puts(out, "<h2>");
        document_put_escaped(chapter_title(d, i), out);
        buf_puts(out, "</h2>\n");
    }
    document_put_scenes(&d->chapters[i], false, out);
    buf_puts(out, "</section>\n</body>\n</html>\n");
}

/* Adds what part holds and empties it. */
static void add(struct zip *z, const char *name, struct buf *part)
{
    z->failed |= part->failed;
    zip_add(z, name, part->data, part->size, false);
    buf_reset(part);
}

void document_epub(const struct document *d, struct buf *out)
{
    struct buf file = { 0 }, part = { 0 };
    struct zip z;
    zip_begin(&z, &file);
    zip_add(&z, "mimetype", "application/epub+zip", 20, true);
    zip_add(&z, "META-INF/container.xml", container, sizeof container - 1, false);
    put_package(d, &part);
    add(&z, "EPUB/package.opf", &part);
    put_nav(d, &part);
    add(&z, "EPUB/nav.xhtml", &part);
    buf_printf(&part, "%s%s", document_css, book_css);
    add(&z, "EPUB/style.css", &part);
    put_title_page(d, &part);
    add(&z, "EPUB/title.xhtml", &part);
    for (size_t i = 0; i < d->chapters_count; i++) {
        char name[48];
        snprintf(name, sizeof name, "EPUB/chapter-%zu.xhtml", i + 1);
        put_chapter(d, i, &part);
        add(&z, name, &part);
    }
    if (zip_end(&z))
        buf_put(out, file.data, file.size);
    else
        out->failed = true;
    buf_done(&part);
    buf_done(&file);
}
