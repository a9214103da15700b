/* lint_text.h — what no sentence may show: the marks of a template that did not become English. */
#ifndef NARRATOR_LINT_TEXT_H
#define NARRATOR_LINT_TEXT_H
#include "server/narrator/narrator.h"

/* false, and why, when the sentence is malformed. */
bool lint_sentence(const char *text, char *why, size_t size);
/* Every sentence, and the story's shape. */
bool lint_story(const struct nvl_story *story, char *why, size_t size);

/* text has the word (or words), and not as part of another. */
bool lint_has_word(const char *text, const char *word);
/* Narration, without what is quoted, where the narrator is "I": case and agreement. */
bool lint_first_person(const char *text, char *why, size_t size);

#endif
