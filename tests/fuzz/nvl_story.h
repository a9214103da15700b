/* nvl_story.h — a short story over the small test pack: seeds for what reads the engine's bytes. */
#ifndef TESTS_FUZZ_NVL_STORY_H
#define TESTS_FUZZ_NVL_STORY_H
#include "server/engine/nvl.h"
#include "tests/fuzz/fuzz.h"

struct nvl_pack *story_pack(void); /* made once, never freed; from the project folder */
const struct nvl_request *story_request(void);
/* Appends the whole log. */
void story_log(struct buf *out);

/* Appends the carry pack that the story hands on. */
void story_carry(struct buf *out);
/* Appends the log of a chapter that goes on from it. */
void story_chapter_log(struct buf *out);

#endif
