/* list.h — intrusive doubly linked list with a head that is a link too.  Unlinked links point at themselves. */
#ifndef NRPC_BASE_LIST_H
#define NRPC_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>
#include "rpc/base/check.h"

struct list {
    struct list *prev, *next;
};

static inline void list_init(struct list *l)
{
    l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
    return l->next == l;
}
static inline void list_add_tail(struct list *head, struct list *item)
{
    item->prev = head->prev;
    item->next = head;
    head->prev->next = item;
    head->prev = item;
}
static inline void list_add_head(struct list *head, struct list *item)
{
    list_add_tail(head->next, item);
}
/* Safe on an unlinked item. */
static inline void list_remove(struct list *item)
{
    item->prev->next = item->next;
    item->next->prev = item->prev;
    list_init(item);
}
/* First item, unlinked; NULL when empty. */
static inline struct list *list_take(struct list *head)
{
    struct list *item = head->next;
    if (item == head)
        return NULL;
    list_remove(item);
    return item;
}
#define LIST_ENTRY(link, type, member) CONTAINER_OF(link, type, member)
/* The loop's body may remove `link`. */
#define LIST_EACH(head, link, after)                                                               \
    for (struct list *link = (head)->next, *after = link->next; link != (head);                    \
         link = after, after = link->next)

#endif
