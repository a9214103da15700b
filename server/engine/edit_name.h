/* edit_name.h — names of an edit looked up, and what to say of one that does not exist.  Internal
 * to the engine. */
#ifndef NVL_EDIT_NAME_H
#define NVL_EDIT_NAME_H
#include "server/engine/sim.h"

/* Index of the entity with that id, or -1. */
int name_entity(const struct nvl_world *w, enum nvl_sort sort, const char *id);
/* Fills err (may be NULL) for a name that nothing bears: "there is no place "dok"; did you mean
 * "dock"?".  Always returns NVL_E_INVALID. */
int name_unknown_entity(const struct nvl_world *w, enum nvl_sort sort, const char *id,
                        const char *field, struct nvl_error *err);
int name_unknown_op(const struct nvl_pack *pack, bool incident, const char *name, const char *field,
                    struct nvl_error *err);
int name_unknown_trait(const char *name, const char *field, struct nvl_error *err);
#endif
