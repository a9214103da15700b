/* Serialised messages of the contract: what the scanner lets pass unpacks, what is packed again
 * passes, and both agree.  The field rules are tried on each. */
#include "novelengine/v1/novel_engine.nrpc.h"
#include "rpc/grpc/codec.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const nrpc_service *service = &novelengine_v1_novel_engine_service;
    uint8_t which = fuzz_byte(&data, &size);
    const nrpc_method *method = &service->methods[which / 2 % service->n_methods];
    const ProtobufCMessageDescriptor *d = which % 2 == 0 ? method->input : method->output;
    struct codec_error error = { 0 };
    nrpc_status st = NRPC_STATUS_INIT;
    int scanned = codec_scan(d, (nrpc_slice){ data, size }, &error);
    CHECK(scanned == 0 || scanned == CODEC_SPLIT || (scanned == NRPC_E_PROTO && error.reason && error.offset <= size));

    nrpc_msg *m = codec_msg_new(size);
    CHECK(m != NULL);
    if (size > 0)
        memcpy(codec_msg_data(m), data, size);
    int r = codec_decode(m, d, &st);
    /* What the scanner refuses never unpacks; what it lets pass does. */
    CHECK(scanned >= 0 ? r == 0 || r == NRPC_E_TOOBIG : r == NRPC_E_PROTO);
    CHECK((r == 0) == (st.code == NRPC_OK));
    nrpc_status_clear(&st);
    if (r == 0) {
        struct buf once = { 0 }, twice = { 0 };
        CHECK(codec_pack(&once, nrpc_msg_body(m), SIZE_MAX) == 0);
        nrpc_slice again = { once.data + CODEC_PREFIX_BYTES, once.size - CODEC_PREFIX_BYTES };
        CHECK(codec_scan(d, again, &error) == 0);
        nrpc_msg *copy = codec_msg_new(again.size);
        CHECK(copy != NULL);
        memcpy(codec_msg_data(copy), again.data, again.size);
        r = codec_decode(copy, d, NULL);
        CHECK(r == 0 || r == NRPC_E_TOOBIG);
        if (r == 0) {
            CHECK(codec_pack(&twice, nrpc_msg_body(copy), SIZE_MAX) == 0);
            CHECK(fuzz_same(&once, &twice));
        }
        r = nrpc_validate(&novelengine_v1_novel_engine_rules, nrpc_msg_body(m), "fuzz", &st);
        CHECK((r == 0 && st.code == NRPC_OK) || (r == 1 && st.code == NRPC_INVALID_ARGUMENT));
        nrpc_status_clear(&st);
        nrpc_msg_free(copy);
        buf_done(&once);
        buf_done(&twice);
    }
    nrpc_msg_free(m);
    return 0;
}
