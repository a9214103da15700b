/* rules_file.h — HTTP rules from a file beside the descriptors, for services whose protos have
 * none: the `http` part of a google.api.Service configuration, as YAML: http: rules:
 *       - selector: shop.v1.Shop.GetItem
 *         get: /v1/items/{id}
 *         additional_bindings:
 *           - post: /v1/items:find
 *             body: "*"
 * Pure; the file is an operator's, but is checked all the same. */
#ifndef NOVEL_GATEWAY_RULES_FILE_H
#define NOVEL_GATEWAY_RULES_FILE_H
#include "gateway/descriptors.h"

enum { RULES_FILE_MAX = 1 << 20 /* bytes */ };

/* Gives the pool's methods the rules of the text; a rule here replaces the one in the proto.  Only
 * before the pool is shared.  0, or negative with the reason. */
int rules_file_apply(struct desc_pool *pool, const void *text, size_t size, char error[static 512]);

#endif
