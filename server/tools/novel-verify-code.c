#include "server/tools/novel-verify-code.h"

#include "server/tools/novel-verify.h"

/* Operand bytes, values popped and pushed, per instruction; 0x03 pops by its fluent. */
struct shape {
    uint8_t known, operand, pops, pushes;
};
static const struct shape shapes[0x33] = {
    [0x00] = { 1, 0, 1, 1 }, [0x01] = { 1, 2, 0, 1 }, [0x02] = { 1, 1, 0, 1 },
    [0x03] = { 1, 2, 0, 1 }, [0x04] = { 1, 0, 0, 1 }, [0x05] = { 1, 0, 0, 1 },
    [0x06] = { 1, 0, 1, 1 }, [0x07] = { 1, 0, 0, 1 }, [0x10] = { 1, 0, 2, 1 },
    [0x11] = { 1, 0, 2, 1 }, [0x12] = { 1, 0, 2, 1 }, [0x13] = { 1, 0, 2, 1 },
    [0x14] = { 1, 0, 2, 1 }, [0x20] = { 1, 0, 2, 1 }, [0x21] = { 1, 0, 2, 1 },
    [0x22] = { 1, 0, 2, 1 }, [0x23] = { 1, 0, 2, 1 }, [0x24] = { 1, 0, 2, 1 },
    [0x25] = { 1, 0, 2, 1 }, [0x30] = { 1, 0, 2, 1 }, [0x31] = { 1, 0, 2, 1 },
    [0x32] = { 1, 0, 1, 1 },
};

static unsigned fluent_arity(const struct verify_fluent *f)
{
    return (f->sort1 != SORT_NONE) + (f->sort2 != SORT_NONE);
}

bool verify_code_check(struct verify_pack *pack, uint32_t offset)
{
    const struct verify_table *code = &pack->code;
    if (offset == 0 || offset >= code->size)
        return false;
    if (pack->code_seen[offset])
        return true;
    uint32_t at = offset;
    unsigned depth = 0;
    for (int step = 0; step < VERIFY_CODE_STEPS_MAX; step++) {
        uint8_t byte = code->data[at++];
        if (byte >= sizeof(shapes) / sizeof(shapes[0]) || !shapes[byte].known)
            return false;
        const struct shape *s = &shapes[byte];
        if (code->size - at < s->operand)
            return false;
        unsigned pops = s->pops;
        if (byte == 0x03) {
            uint16_t fluent = verify_get_u16(code->data + at);
            if (fluent >= pack->flue.count)
                return false;
            pops = fluent_arity(&pack->fluents[fluent]);
        }
        at += s->operand;
        if (depth < pops || depth - pops + s->pushes > VERIFY_STACK)
            return false;
        depth = depth - pops + s->pushes;
        if (byte == 0x00) {
            pack->code_seen[offset] = 1;
            return true;
        }
        if (at >= code->size)
            return false;
    }
    return false;
}

static int32_t read_cell(const struct verify_frame *frame, uint16_t fluent, int32_t a, int32_t b)
{
    const struct verify_fluent *f = &frame->pack->fluents[fluent];
    uint16_t cell;
    if (!verify_world_cell(frame->world, frame->pack, fluent, a, b, &cell))
        return f->value == SORT_NONE ? 0 : -1;
    struct verify_reads *reads = frame->reads;
    if (reads != NULL) {
        if (reads->first == 0xffff)
            reads->first = cell;
        reads->stamps[cell] = reads->stamp;
        if (reads->writer[cell] > reads->latest)
            reads->latest = reads->writer[cell];
    }
    return frame->cells[cell];
}

static int32_t argument(const struct verify_frame *frame, uint8_t n)
{
    if (n == VERIFY_ARG_RUNNING)
        return frame->running;
    return n >= frame->arg_count || frame->args[n] == 255 ? -1 : frame->args[n];
}

/* Unsigned on the way, because a value that overflows wraps. */
static int32_t of_two(uint8_t byte, int32_t a, int32_t b)
{
    switch (byte) {
    case 0x10:
        return (int32_t) ((uint32_t) a + (uint32_t) b);
    case 0x11:
        return (int32_t) ((uint32_t) a - (uint32_t) b);
    case 0x12:
        return (int32_t) ((uint32_t) a * (uint32_t) b);
    case 0x13:
        return a < b ? a : b;
    case 0x14:
        return a > b ? a : b;
    case 0x20:
        return a == b;
    case 0x21:
        return a != b;
    case 0x22:
        return a < b;
    case 0x23:
        return a <= b;
    case 0x24:
        return a > b;
    case 0x25:
        return a >= b;
    case 0x30:
        return a != 0 && b != 0;
    default:
        return a != 0 || b != 0;
    }
}

static int32_t share_of_passes(const struct verify_frame *frame, int32_t p)
{
    int32_t scaled = (int32_t) ((uint32_t) frame->passes * (uint32_t) p + 50u) / 100;
    return scaled > 1 ? scaled : 1;
}

int32_t verify_code_run(const struct verify_frame *frame, uint32_t offset)
{
    const uint8_t *p = frame->pack->code.data + offset;
    int32_t stack[VERIFY_STACK + 1] = { 0 }; /* [0] stays free: top 0 is the empty stack */
    unsigned top = 0;
    for (;;) {
        if (--*frame->fuel < 0)
            return 0;
        uint8_t byte = *p++;
        switch (byte) {
        case 0x00:
            return stack[top];
        case 0x01:
            stack[++top] = (int16_t) verify_get_u16(p);
            break;
        case 0x02:
            stack[++top] = argument(frame, *p);
            break;
        case 0x03: {
            uint16_t fluent = verify_get_u16(p);
            unsigned arity = fluent_arity(&frame->pack->fluents[fluent]);
            int32_t b = arity == 2 ? stack[top--] : 0;
            int32_t a = arity >= 1 ? stack[top--] : 0;
            stack[++top] = read_cell(frame, fluent, a, b);
            break;
        }
        case 0x04:
            stack[++top] = frame->pass;
            break;
        case 0x05:
            stack[++top] = frame->phase;
            break;
        case 0x06:
            stack[top] = share_of_passes(frame, stack[top]);
            break;
        case 0x07:
            stack[++top] = frame->passes;
            break;
        case 0x32:
            stack[top] = stack[top] == 0;
            break;
        default:
            stack[top - 1] = of_two(byte, stack[top - 1], stack[top]);
            top--;
            break;
        }
        p += shapes[byte].operand;
    }
}

unsigned verify_code_level(const struct verify_pack *pack, uint32_t offset, int64_t *fuel)
{
    unsigned level = 0;
    for (const uint8_t *p = pack->code.data + offset; *p != 0x00; p += 1 + shapes[*p].operand, --*fuel)
        if (*p == 0x02 && p[1] != VERIFY_ARG_RUNNING && p[1] > level)
            level = p[1];
    return level;
}

unsigned verify_code_fluents(const struct verify_pack *pack, uint32_t offset, uint16_t *out,
                             unsigned max)
{
    unsigned count = 0;
    for (const uint8_t *p = pack->code.data + offset; *p != 0x00 && count < max;
         p += 1 + shapes[*p].operand)
        if (*p == 0x03)
            out[count++] = verify_get_u16(p + 1);
    return count;
}
