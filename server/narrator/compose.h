/* compose.h — the parts that compose a story.  compose.c walks the chosen units, compose_scene.c
 * frames them as scenes, compose_chunk.c writes and keeps what they say.  Nothing here is used
 * outside of them; no memory: teller->nomem. */
#ifndef NOVEL_NARRATOR_COMPOSE_H
#define NOVEL_NARRATOR_COMPOSE_H
#include "server/narrator/teller.h"

enum { PARAGRAPH_WORDS = 72 };

/* Where the composing stands. */
struct composing {
    struct teller *t;
    uint32_t paragraph_words;
    bool ends_quoted; /* the last chunk ends with what somebody says */
    int16_t last_actor, last_speaker;
    const struct nvl_event *event; /* provenance of what is written now */
    uint32_t sequence;
    const char *image;
    size_t image_size;
    int16_t place;    /* where the reader takes it to happen, -1 */
    uint32_t tick;    /* units told */
    int16_t left;     /* where the scene before ended, or -1 */
    uint32_t outside; /* events whose edits have been told or passed over */
    bool weighed;
};

/* compose_chunk.c */
/* Keeps what was drafted as the scene's next chunk; fresh: it begins a paragraph.  False: no room
 * or no memory. */
bool compose_keep(struct composing *c, struct draft *d, bool fresh, int16_t actor);
bool compose_begins_paragraph(const struct composing *c, bool speaks, int16_t actor);
void compose_paragraph_here(struct composing *c, bool fresh);
/* A part of the story that is no event of its own: kind and key choose it.  False: nothing fits. */
bool compose_part(struct composing *c, struct env *env, enum prose_kind kind, const char *key,
                  bool fresh);
/* Who somebody is, once in a story.  False: no memory. */
bool compose_intro(struct composing *c, int16_t who, bool fresh);
/* The user's words: those that became news, those that nothing else told. */
void compose_phrases(struct composing *c);
void compose_ground(struct composing *c);

/* compose_aim.c */
/* Says what the actor of e is after, where the story has not said so yet: in a sentence before the
 * act (true: it was told), or else as an opening "To …" which compose_aim_lead puts before the
 * act's own sentence. */
bool compose_aim(struct composing *c, const struct nvl_event *e, bool fresh);
void compose_aim_lead(struct composing *c, const struct nvl_event *e, struct draft *d);

/* compose_place.c */
/* An act elsewhere than the reader takes it to be begins with its place: "In the hall Maya …". */
void compose_place_lead(struct composing *c, const struct nvl_event *e, struct draft *d);
/* The reader has been told e, and is where that leaves its actor. */
void compose_place_told(struct composing *c, const struct nvl_event *e);

/* compose_scene.c */
/* The scene's place is the focaliser's, as of the event with that index. */
void compose_stand(struct teller *t, uint32_t event);
/* The thing of the frame that the story opens on and comes back to. */
void compose_choose_image(struct composing *c);
void compose_scene_begin(struct composing *c, const struct nvl_event *e);
void compose_scene_end(struct composing *c, const struct nvl_event *e, bool last);

#endif
