#include "rpc/nrpc.h"

#ifndef NOVEL_VERSION
#define NOVEL_VERSION "0"
#endif

const char *nrpc_version(void)
{
    return NOVEL_VERSION;
}
