/* contract.h — the generated contract under shorter names: NE(Character) is
 * Novelengine__V1__Character. */
#ifndef SERVER_CONTRACT_H
#define SERVER_CONTRACT_H
#include "novelengine/v1/novel_engine.nrpc.h"
#include "rpc/base/arena.h"

#define NE(type)     Novelengine__V1__##type
#define PB(type)     Google__Protobuf__##type
#define NOVEL_DOMAIN "novelengine.v1" /* of ErrorInfo */

/* A protobuf-c allocator that takes from an arena and never gives back. */
static inline void *contract_arena_get(void *arena, size_t size)
{
    return arena_get(arena, size);
}
static inline void contract_arena_free(void *arena, void *p)
{
    (void) arena;
    (void) p;
}
static inline ProtobufCAllocator contract_allocator(struct arena *a)
{
    return (ProtobufCAllocator){ contract_arena_get, contract_arena_free, a };
}

#endif
