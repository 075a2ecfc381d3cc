/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Python's pickle format, as far as torch.save() of dictionaries of tensors uses it.  A pickle is a program for a small
 * stack machine that may call any function of Python; here the few calls that such a file makes are read as data, every
 * other name is refused, and nothing is ever called.
 */
#include "weights/pickle.h"

#define VALUES_MAX ((size_t)4 << 20)
#define MARK UINT32_MAX

struct list {
    uint32_t *item;
    size_t n, room;
};

struct machine {
    struct sr_pickle *p;
    const uint8_t *at, *end, *start;
    struct list stack, memo;
    const char *path;
    sora_error *err;
    sora_result r;
};

static void fail(struct machine *m, const char *what)
{
    if (m->r < 0) return;
    m->r = sr_fail(m->err, SORA_ERR_MODEL, "%s: its pickle is damaged at byte %zu: %s", m->path,
                   (size_t)(m->at - m->start), what);
}

static void fail_nomem(struct machine *m)
{
    if (m->r >= 0) m->r = sr_fail_nomem(m->err, m->p->n * sizeof *m->p->v, m->path);
}

/* ---- Bytes ---- */

static const uint8_t *take(struct machine *m, uint64_t n)
{
    static const uint8_t zeros[8];
    const uint8_t *p = m->at;

    if (n > (uint64_t)(m->end - m->at)) {
        fail(m, "it ends early");
        return n <= sizeof zeros ? zeros : NULL;
    }
    m->at += n;
    return p;
}

static uint64_t take_int(struct machine *m, int bytes)
{
    const uint8_t *p = take(m, (uint64_t)bytes);
    uint64_t v = 0;

    for (int i = bytes - 1; i >= 0; i--) v = v << 8 | p[i];
    return v;
}

/* A line of the GLOBAL opcode, without its end. */
static const char *take_line(struct machine *m, size_t *len)
{
    const uint8_t *p = m->at, *nl = memchr(p, '\n', (size_t)(m->end - m->at));

    *len = 0;
    if (!nl) return fail(m, "a name without end"), "";
    *len = (size_t)(nl - p);
    m->at = nl + 1;
    return (const char *)p;
}

/* ---- Values and the stack ---- */

static uint32_t new_value(struct machine *m, struct sr_pickle_value value)
{
    struct sr_pickle *p = m->p;

    if (m->r < 0) return 0;
    if (p->n == VALUES_MAX) return fail(m, "too many values"), 0;
    if (p->n == p->room) {
        const size_t room = p->room ? 2 * p->room : 1024;
        struct sr_pickle_value *v = sr_realloc(p->v, room, sizeof *v);
        if (!v) return fail_nomem(m), 0;
        p->v = v;
        p->room = room;
    }
    p->v[p->n] = value;
    return (uint32_t)p->n++;
}

static void list_add(struct machine *m, struct list *l, uint32_t item)
{
    if (m->r < 0) return;
    if (l->n == l->room) {
        const size_t room = l->room ? 2 * l->room : 256;
        uint32_t *p = sr_realloc(l->item, room, sizeof *p);
        if (!p) {
            fail_nomem(m);
            return;
        }
        l->item = p;
        l->room = room;
    }
    l->item[l->n++] = item;
}

static void push(struct machine *m, struct sr_pickle_value value)
{
    const uint32_t i = new_value(m, value);

    list_add(m, &m->stack, i);
}

/* The value on top; where there is none, the first value with m->r set. */
static uint32_t pop(struct machine *m)
{
    if (m->r < 0) return 0;
    if (!m->stack.n || m->stack.item[m->stack.n - 1] == MARK) return fail(m, "nothing on the stack"), 0;
    return m->stack.item[--m->stack.n];
}

static struct sr_pickle_value *top(struct machine *m)
{
    if (m->r < 0) return NULL;
    if (!m->stack.n || m->stack.item[m->stack.n - 1] == MARK) return fail(m, "nothing on the stack"), NULL;
    return &m->p->v[m->stack.item[m->stack.n - 1]];
}

/* Take count values off the stack and add them, in order, to value `to`. */
static void gather(struct machine *m, uint32_t to, size_t count)
{
    struct sr_pickle_value *v;

    if (m->r < 0) return;
    v = &m->p->v[to];
    if (count > m->stack.n) {
        fail(m, "nothing on the stack");
        return;
    }
    if (count > UINT32_MAX / 4 - v->n) {
        fail(m, "too many items");
        return;
    }
    if (v->n + count > v->room) {
        const size_t room = SR_MAX(v->n + count, (size_t)2 * v->room);
        uint32_t *p = sr_realloc(v->item, room, sizeof *p);
        if (!p) {
            fail_nomem(m);
            return;
        }
        v->item = p;
        v->room = (uint32_t)room;
    }
    m->stack.n -= count;
    for (size_t i = 0; i < count; i++) {
        const uint32_t item = m->stack.item[m->stack.n + i];
        if (item == MARK) {
            fail(m, "a mark in place of a value");
            return;
        }
        v->item[v->n++] = item;
    }
}

/* How many values lie above the last mark, which is removed from under them. */
static size_t unmark(struct machine *m)
{
    size_t n = 0;

    if (m->r < 0) return 0;
    while (n < m->stack.n && m->stack.item[m->stack.n - 1 - n] != MARK) n++;
    if (n == m->stack.n) return fail(m, "no mark on the stack"), 0;
    memmove(&m->stack.item[m->stack.n - 1 - n], &m->stack.item[m->stack.n - n], n * sizeof *m->stack.item);
    m->stack.n--;
    return n;
}

static void push_tuple(struct machine *m, enum sr_pickle_kind kind, size_t count)
{
    const uint32_t t = new_value(m, (struct sr_pickle_value){ .kind = kind });

    if (kind == SR_PICKLE_DICT && count % 2) fail(m, "a key without value");
    gather(m, t, count);
    list_add(m, &m->stack, t);
}

/* Add the count topmost values to the list or dictionary under them. */
static void extend(struct machine *m, enum sr_pickle_kind kind, size_t count)
{
    uint32_t to;

    if (m->r < 0) return;
    if (count >= m->stack.n || (to = m->stack.item[m->stack.n - 1 - count]) == MARK || m->p->v[to].kind != kind ||
        (kind == SR_PICKLE_DICT && count % 2)) {
        fail(m, "items for something that holds none");
        return;
    }
    gather(m, to, count);
}

static void push_string(struct machine *m, uint64_t len)
{
    const char *s = (const char *)take(m, len);

    push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_STRING, .text = s, .len = (size_t)len });
}

/* ---- Names and calls ---- */

static const struct {
    const char *module, *name;
    enum sr_pickle_name is;
    enum sr_type type;
} names[] = {
    { "collections", "OrderedDict", SR_NAME_ORDERED_DICT, 0 },
    { "torch._utils", "_rebuild_tensor_v2", SR_NAME_TENSOR, 0 },
    { "torch._utils", "_rebuild_parameter", SR_NAME_PARAMETER, 0 },
    { "torch", "Size", SR_NAME_SIZE, 0 },
    { "torch", "FloatStorage", SR_NAME_STORAGE, SR_F32 },
    { "torch", "HalfStorage", SR_NAME_STORAGE, SR_F16 },
    { "torch", "BFloat16Storage", SR_NAME_STORAGE, SR_BF16 },
    { "torch", "DoubleStorage", SR_NAME_STORAGE, SR_F64 },
    { "torch", "LongStorage", SR_NAME_STORAGE, SR_S64 },
    { "torch", "IntStorage", SR_NAME_STORAGE, SR_S32 },
    { "torch", "ShortStorage", SR_NAME_STORAGE, SR_S16 },
    { "torch", "CharStorage", SR_NAME_STORAGE, SR_S8 },
    { "torch", "ByteStorage", SR_NAME_STORAGE, SR_U8 },
    { "torch", "BoolStorage", SR_NAME_STORAGE, SR_BOOL },
};

static void push_name(struct machine *m, const char *module, size_t module_len, const char *name, size_t name_len)
{
    if (m->r < 0) return;
    for (size_t i = 0; i < SR_COUNT(names); i++) {
        if (strlen(names[i].module) != module_len || memcmp(names[i].module, module, module_len) ||
            strlen(names[i].name) != name_len || memcmp(names[i].name, name, name_len))
            continue;
        push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_NAME, .name = names[i].is, .type = names[i].type });
        return;
    }
    m->r = sr_fail(m->err, SORA_ERR_UNSUPPORTED, "%s: it holds a %.*s.%.*s; only dictionaries of tensors are read from "
                   "PyTorch files, and no code of theirs is run", m->path, (int)SR_MIN(module_len, (size_t)80), module,
                   (int)SR_MIN(name_len, (size_t)80), name);
}

static void stack_name(struct machine *m)
{
    const uint32_t b = pop(m), a = pop(m);
    const struct sr_pickle_value *v = m->p->v;

    if (m->r < 0) return;
    if (v[a].kind != SR_PICKLE_STRING || v[b].kind != SR_PICKLE_STRING) fail(m, "a name that is no text");
    else push_name(m, v[a].text, v[a].len, v[b].text, v[b].len);
}

/* f(args): what the known functions make of them */
static void call(struct machine *m)
{
    const uint32_t args = pop(m), f = pop(m);
    const struct sr_pickle_value *v = m->p->v;

    if (m->r < 0) return;
    if (v[f].kind != SR_PICKLE_NAME || v[args].kind != SR_PICKLE_TUPLE) {
        fail(m, "a call of something that is no function");
        return;
    }
    if (v[f].name == SR_NAME_ORDERED_DICT && v[args].n == 0)
        push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_DICT });
    else if (v[f].name == SR_NAME_TENSOR)
        push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_TENSOR, .ref = args });
    else if ((v[f].name == SR_NAME_PARAMETER || v[f].name == SR_NAME_SIZE) && v[args].n >= 1)
        list_add(m, &m->stack, v[args].item[0]);        /* a parameter is its tensor, a size its tuple */
    else
        fail(m, "a call with arguments it does not take");
}

/* obj.__dict__ = state: an OrderedDict's bookkeeping, of no use here */
static void build(struct machine *m)
{
    const struct sr_pickle_value *v;

    pop(m);
    v = top(m);
    if (v && v->kind != SR_PICKLE_DICT) fail(m, "a state for something that has none");
}

/* ---- Memo ---- */

static void memo_put(struct machine *m, uint64_t i)
{
    if (!top(m)) return;
    if (i == m->memo.n) list_add(m, &m->memo, m->stack.item[m->stack.n - 1]);
    else if (i < m->memo.n) m->memo.item[i] = m->stack.item[m->stack.n - 1];
    else fail(m, "the memo has holes");
}

static void memo_get(struct machine *m, uint64_t i)
{
    if (m->r < 0) return;
    if (i < m->memo.n) list_add(m, &m->stack, m->memo.item[i]);
    else fail(m, "nothing was remembered under that number");
}

/* ---- The machine ---- */

static void push_int(struct machine *m, int64_t i)
{
    push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_INT, .i = i });
}

static void push_long(struct machine *m)
{
    const int bytes = (int)take_int(m, 1);
    uint64_t v;

    if (bytes > 8) {
        fail(m, "a number beyond 64 bits");
        return;
    }
    v = take_int(m, bytes);
    if (bytes && bytes < 8 && v >> (8 * bytes - 1)) v |= ~(uint64_t)0 << 8 * bytes;       /* sign */
    push_int(m, (int64_t)v);
}

static void push_float(struct machine *m)
{
    const uint8_t *p = take(m, 8);
    uint64_t v = 0;
    double f;

    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    memcpy(&f, &v, sizeof f);
    push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_FLOAT, .f = f });
}

static void global(struct machine *m)
{
    size_t module_len, name_len;
    const char *module = take_line(m, &module_len), *name = take_line(m, &name_len);

    push_name(m, module, module_len, name, name_len);
}

/* One opcode; false: the pickle has ended or failed. */
static bool step(struct machine *m)
{
    const uint8_t op = *take(m, 1);

    if (m->r < 0) return false;
    switch (op) {
    case 0x80: if (take_int(m, 1) > 5) fail(m, "a protocol newer than 5"); break;
    case 0x95: take_int(m, 8); break;                                           /* FRAME */
    case '.': return false;
    case '(': list_add(m, &m->stack, MARK); break;
    case '0': pop(m); break;
    case 'N': push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_NONE }); break;
    case 0x88: case 0x89: push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_BOOL, .i = op == 0x88 }); break;
    case 'J': push_int(m, (int32_t)(uint32_t)take_int(m, 4)); break;
    case 'K': push_int(m, (int64_t)take_int(m, 1)); break;
    case 'M': push_int(m, (int64_t)take_int(m, 2)); break;
    case 0x8a: push_long(m); break;
    case 'G': push_float(m); break;
    case 'X': case 'T': push_string(m, take_int(m, 4)); break;
    case 'U': case 0x8c: push_string(m, take_int(m, 1)); break;
    case 0x8d: push_string(m, take_int(m, 8)); break;
    case ')': push_tuple(m, SR_PICKLE_TUPLE, 0); break;
    case 0x85: push_tuple(m, SR_PICKLE_TUPLE, 1); break;
    case 0x86: push_tuple(m, SR_PICKLE_TUPLE, 2); break;
    case 0x87: push_tuple(m, SR_PICKLE_TUPLE, 3); break;
    case 't': push_tuple(m, SR_PICKLE_TUPLE, unmark(m)); break;
    case ']': push_tuple(m, SR_PICKLE_LIST, 0); break;
    case 'l': push_tuple(m, SR_PICKLE_LIST, unmark(m)); break;
    case 'a': extend(m, SR_PICKLE_LIST, 1); break;
    case 'e': extend(m, SR_PICKLE_LIST, unmark(m)); break;
    case '}': push_tuple(m, SR_PICKLE_DICT, 0); break;
    case 'd': push_tuple(m, SR_PICKLE_DICT, unmark(m)); break;
    case 's': extend(m, SR_PICKLE_DICT, 2); break;
    case 'u': extend(m, SR_PICKLE_DICT, unmark(m)); break;
    case 'q': memo_put(m, take_int(m, 1)); break;
    case 'r': memo_put(m, take_int(m, 4)); break;
    case 0x94: memo_put(m, m->memo.n); break;
    case 'h': memo_get(m, take_int(m, 1)); break;
    case 'j': memo_get(m, take_int(m, 4)); break;
    case 'c': global(m); break;
    case 0x93: stack_name(m); break;
    case 'R': call(m); break;
    case 'b': build(m); break;
    case 'Q': push(m, (struct sr_pickle_value){ .kind = SR_PICKLE_STORAGE, .ref = pop(m) }); break;
    default: m->at--; fail(m, "an instruction that tensors do not need"); break;
    }
    return m->r >= 0;
}

sora_result sr_pickle_read(struct sr_pickle *p, const uint8_t *data, size_t size, const char *path, sora_error *err)
{
    struct machine m = { .p = p, .at = data, .start = data, .end = data + size, .path = path, .err = err };

    memset(p, 0, sizeof *p);
    while (step(&m)) ;
    p->root = pop(&m);
    sr_free(m.stack.item);
    sr_free(m.memo.item);
    if (m.r < 0) sr_pickle_close(p);
    return m.r;
}

void sr_pickle_close(struct sr_pickle *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (p->v[i].kind == SR_PICKLE_TUPLE || p->v[i].kind == SR_PICKLE_LIST || p->v[i].kind == SR_PICKLE_DICT)
            sr_free(p->v[i].item);
    sr_free(p->v);
    memset(p, 0, sizeof *p);
}
