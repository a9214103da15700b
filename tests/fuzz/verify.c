/* novel-verify's whole check over a log that may hold anything. */
#include "server/tools/novel-verify.h"
#include "tests/fuzz/nvl_story.h"

bool fuzz_seed(size_t i, struct buf *out)
{
    if (i == 0)
        story_log(out);
    else if (i == 1)
        story_chapter_log(out);
    return i <= 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct verify_report report;
    int r = verify_log_check(data, size, &report);
    CHECK(r == VERIFY_DONE || r == VERIFY_NOT_A_LOG);
    if (r == VERIFY_DONE) {
        struct buf text = { 0 };
        CHECK(report.listed <= VERIFY_LISTED_MAX && report.listed <= report.violations);
        verify_report_text(&report, "fuzz.nvlog", &text);
        verify_report_json(&report, "fuzz.nvlog", &text);
        CHECK(!text.failed);
        buf_done(&text);
    }
    return 0;
}
