/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Feature maps, channels last: convolution block by block, the norm over channels, upsampling. */
#include "kernels/kernels.h"
#include "tensor/dnnl.h"
#include "tensor/op.h"

struct sr_conv {
    struct sr_packs *w;         /* more layouts may join as map sizes turn up */
    float *bias;                /* [out] or NULL */
    struct sr_conv_shape s;
    enum sr_type type;          /* of the weights and of the x that is multiplied */
};

struct source {
    const struct sr_kernels *kern;
    const struct sr_param *weight;
    size_t row;
    enum sr_type type;
    int threads;
};

static void read_rows(void *user, void *buf, size_t from, size_t n)
{
    const struct source *s = user;

#pragma omp parallel for schedule(static) num_threads(s->threads) if (n * s->row >= SR_OMP_MIN)
    for (size_t i = 0; i < n; i++)
        sr_param_read(s->kern, (uint8_t *)buf + i * s->row * sr_type_size(s->type), s->type, s->weight,
                      (from + i) * s->row, s->row);
}

/* Each size within what oneDNN counts in, and the number of weights. */
static sora_result check_shape(const struct sr_conv_shape *s, size_t *row, size_t *weights, sora_error *err)
{
    const size_t most = 1 << 20, kernel = s->kt * s->kh * s->kw;

    if (s->in && s->in <= most && s->out && s->out <= most && s->kt && s->kt <= 16 && s->kh && s->kh <= 16 && s->kw &&
        s->kw <= 16 && s->pad_h < s->kh && s->pad_w < s->kw && (s->stride_s == 1 || s->stride_s == 2)) {
        *row = s->in * kernel;
        *weights = *row * s->out;
        return SORA_OK;
    }
    return sr_fail(err, SORA_ERR_MODEL, "convolution %zu -> %zu, kernel %zu x %zu x %zu, padding %zu x %zu, stride "
                   "%zu: no usable size", s->in, s->out, s->kt, s->kh, s->kw, s->pad_h, s->pad_w, s->stride_s);
}

sora_result sr_conv_open(struct sr_ctx *c, struct sr_conv **out, const struct sr_conv_shape *s,
                         const struct sr_param *weight, const struct sr_param *bias, sora_error *err)
{
    struct source src = { c->kern, weight, 0, c->act, c->threads };
    struct sr_conv *v = NULL;
    size_t weights = 0;
    sora_result r;

    *out = NULL;
    if ((r = check_shape(s, &src.row, &weights, err)) < 0) goto done;
    if ((r = sr_param_check(weight, weights, "convolution: weight", err)) < 0) goto done;
    if (!(v = sr_zalloc(sizeof *v)) || !(v->w = sr_zalloc(sizeof *v->w))) {
        r = sr_fail_nomem(err, sizeof *v, "convolution");
        goto done;
    }
    v->s = *s;
    v->type = c->act;
    if (bias && (bias->data || bias->seed)) {
        if ((r = sr_param_check(bias, s->out, "convolution: bias", err)) < 0) goto done;
        if ((r = sr_param_f32(&v->bias, bias, err)) < 0) goto done;
    }
    if ((r = sr_dnnl_pack_conv(c, v->w, s, v->type, read_rows, &src, err)) < 0) goto done;
    *out = v;
    v = NULL;
done:
    sr_conv_close(&v);
    return r;
}

void sr_conv_close(struct sr_conv **v)
{
    if (!*v) return;
    if ((*v)->w) sr_packs_close((*v)->w);
    sr_free((*v)->w);
    sr_free((*v)->bias);
    sr_free(*v);
    *v = NULL;
}

/* ---- Maps ---- */

static size_t frame_size(const struct sr_fmap *x)
{
    return x->H * x->W * x->C * sr_type_size(x->type);
}

struct sr_fmap sr_fmap_scratch(struct sr_ctx *c, size_t F, size_t H, size_t W, size_t C, enum sr_type type)
{
    struct sr_fmap y = { NULL, type, F, H, W, C };
    size_t n;

    if (SR_MUL_OVERFLOWS(F, H, &n) || SR_MUL_OVERFLOWS(n, W, &n) || SR_MUL_OVERFLOWS(n, C, &n) ||
        SR_MUL_OVERFLOWS(n, sr_type_size(type), &n))
        sr_fail(&c->err, SORA_ERR_NOMEM, "scratch memory: a map of %zu x %zu x %zu x %zu is too large", F, H, W, C);
    else
        y.data = sr_scratch_bytes(c, n);
    return y;
}

/* Frames from .. from + n of x. */
static struct sr_fmap frames(const struct sr_fmap *x, size_t from, size_t n)
{
    return (struct sr_fmap){ x->data ? (uint8_t *)x->data + from * frame_size(x) : NULL, x->type, n, x->H, x->W, x->C };
}

/* The same numbers as a matrix, a row for each line of pixels. */
static struct sr_tensor lines(const struct sr_fmap *x, size_t from, size_t rows)
{
    const size_t cols = x->W * x->C;

    return (struct sr_tensor){ x->data ? (uint8_t *)x->data + from * cols * sr_type_size(x->type) : NULL, x->type, rows,
                               cols, cols };
}

/* ---- Convolution ---- */

/* What one call of oneDNN computes: output frames f .. f + F, rows r .. r + R; they begin at row `line` of the map. */
struct block {
    size_t f, F, r, R, line;
};

/* 2 * multiply-adds of one output row */
static double row_flop(const struct sr_conv *v, size_t W)
{
    return 2.0 * (double)v->s.in * (double)v->s.out * (double)(v->s.kt * v->s.kh * v->s.kw) * (double)W;
}

static bool check_input(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x)
{
    if (c->err.code) return false;
    if (x->C == v->s.in && x->F >= v->s.kt && x->H + 2 * v->s.pad_h >= v->s.kh && x->W + 2 * v->s.pad_w >= v->s.kw &&
        x->H < INT32_MAX && x->W < INT32_MAX && x->F < INT32_MAX)
        return true;
    sr_fail(&c->err, SORA_ERR_INTERNAL, "convolution %zu -> %zu, kernel %zu x %zu x %zu: a map of %zu x %zu x %zu x "
            "%zu does not fit", v->s.in, v->s.out, v->s.kt, v->s.kh, v->s.kw, x->F, x->H, x->W, x->C);
    return false;
}

/* Rows of several frames, one below the other, as oneDNN wants them: those that block b reads, in the weights' type. */
static void gather(struct sr_ctx *c, struct sr_fmap *to, const struct sr_fmap *x, size_t f, size_t from)
{
    for (size_t i = 0; i < to->F; i++) {
        struct sr_tensor a = lines(to, i * to->H, to->H);
        const struct sr_tensor b = lines(x, (f + i) * x->H + from, to->H);
        sr_convert(c, &a, &b);
    }
}

/* y's rows of the block from x's; the residual is there already where add. */
static void conv_block(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, const struct sr_fmap *y,
                       const struct block *b, enum sr_act act, const struct sr_fmap *add)
{
    const size_t mark = sr_scratch_mark(c), s = v->s.stride_s;
    const ptrdiff_t first = (ptrdiff_t)(b->r * s) - (ptrdiff_t)v->s.pad_h;             /* input rows, perhaps outside */
    const ptrdiff_t end = first + (ptrdiff_t)((b->R - 1) * s + v->s.kh);
    const size_t from = (size_t)SR_MAX(first, 0), to = (size_t)SR_MIN(end, (ptrdiff_t)x->H);
    struct sr_conv_call call = { v->w, &v->s, v->bias, b->F, to - from, x->W, from - (size_t)first, (size_t)end - to,
                                 y->type, act, add != NULL };
    struct sr_tensor out = lines(y, b->line, b->F > 1 ? b->F * y->H : b->R);
    struct sr_fmap in = frames(x, b->f, b->F + v->s.kt - 1);

    if (x->type != v->type || (to - from < x->H && in.F > 1)) {
        struct sr_fmap part = sr_fmap_scratch(c, in.F, to - from, x->W, x->C, v->type);
        gather(c, &part, x, b->f, from);
        in = part;
    } else if (in.data) {
        in.data = lines(&in, from, 1).data;
    }
    if (add && add->data != y->data) {
        const struct sr_tensor residual = lines(add, b->line, out.rows);
        sr_convert(c, &out, &residual);
    }
    sr_dnnl_conv(c, &call, in.data, out.data);
    sr_scratch_release(c, mark);
}

/* The size of what v makes of x. */
static struct sr_fmap output_of(const struct sr_conv *v, const struct sr_fmap *x, enum sr_type type)
{
    return (struct sr_fmap){ NULL, type, x->F - v->s.kt + 1, (x->H + 2 * v->s.pad_h - v->s.kh) / v->s.stride_s + 1,
                             (x->W + 2 * v->s.pad_w - v->s.kw) / v->s.stride_s + 1, v->s.out };
}

static bool same_map(const struct sr_fmap *a, const struct sr_fmap *b)
{
    return a->type == b->type && a->F == b->F && a->H == b->H && a->W == b->W && a->C == b->C;
}

void sr_conv_to(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, enum sr_act act,
                const struct sr_fmap *add, const struct sr_fmap *y)
{
    const double start = sr_now(), reordered = c->prof.seconds[SR_REORDER];
    struct sr_fmap want;
    double row;
    size_t F, R;

    if (!check_input(c, v, x)) return;
    want = output_of(v, x, y->type);
    if (!same_map(y, &want) || (add && !same_map(y, add))) {
        sr_fail(&c->err, SORA_ERR_INTERNAL, "convolution: the map to %s is of another size or type",
                same_map(y, &want) ? "add" : "write");
        return;
    }

    /* Whole frames where they are small, else some rows of one frame. */
    row = row_flop(v, y->W);
    F = (size_t)SR_CLAMP(sr_call_flop(c) / (row * (double)y->H), 1, (double)y->F);
    R = (size_t)SR_CLAMP(sr_call_flop(c) / row, 1, (double)y->H);
    if (F > 1) R = y->H;
    R = SR_CEIL_DIV(y->H, SR_CEIL_DIV(y->H, R));
    for (size_t f = 0; f < y->F && !c->err.code; f += F)
        for (size_t r = 0; r < y->H && !c->err.code; r += R) {
            const struct block b = { f, SR_MIN(F, y->F - f), r, SR_MIN(R, y->H - r), f * y->H + r };
            conv_block(c, v, x, y, &b, act, add);
        }
    if (!sr_ctx_skip(c))
        sr_op_done(c, SR_CONV, start + c->prof.seconds[SR_REORDER] - reordered, row * (double)y->H * (double)y->F);
}

void sr_conv_rows(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, size_t from, enum sr_act act,
                  const struct sr_fmap *add, const struct sr_fmap *y)
{
    const double start = sr_now(), reordered = c->prof.seconds[SR_REORDER];
    const struct block b = { 0, 1, from, y->H, 0 };
    struct sr_fmap whole;

    if (!check_input(c, v, x)) return;
    whole = output_of(v, x, y->type);
    if (y->F != 1 || whole.F != 1 || y->H < 1 || y->H > whole.H || from > whole.H - y->H || y->W != whole.W ||
        y->C != whole.C || (add && !same_map(y, add))) {
        sr_fail(&c->err, SORA_ERR_INTERNAL, "convolution: rows from %zu of %zu: the map is of another size", from,
                whole.H);
        return;
    }
    conv_block(c, v, x, y, &b, act, add);
    if (!sr_ctx_skip(c))
        sr_op_done(c, SR_CONV, start + c->prof.seconds[SR_REORDER] - reordered, row_flop(v, y->W) * (double)y->H);
}

struct sr_fmap sr_conv(struct sr_ctx *c, const struct sr_conv *v, const struct sr_fmap *x, enum sr_act act,
                       const struct sr_fmap *add, enum sr_type type)
{
    struct sr_fmap y = { 0 };

    if (!check_input(c, v, x)) return y;
    y = output_of(v, x, type);
    y = sr_fmap_scratch(c, y.F, y.H, y.W, y.C, type);
    sr_conv_to(c, v, x, act, add, &y);
    return y;
}

/* ---- Norm, upsampling ---- */

void sr_channel_norm_to(struct sr_ctx *c, const struct sr_fmap *x, const float *gamma, float eps, bool silu,
                        const struct sr_fmap *y)
{
    const size_t mark = sr_scratch_mark(c), pixels = x->F * x->H * x->W, size = x->C * sr_type_size(x->type);
    struct sr_tensor *g = sr_scratch(c, 1, x->C, SR_F32);
    const double start = sr_now(), root = __builtin_sqrt((double)x->C);
    sr_channel_norm_fn *kernel = c->kern->channel_norm[x->type == SR_BF16 ? SR_E_BF16 : SR_E_F32];
    enum { SOME = 64 };                                 /* pixels for one call */

    sr_scratch_release(c, mark);        /* nothing else takes any until the end */
    if (!c->err.code && !same_map(x, y))
        sr_fail(&c->err, SORA_ERR_INTERNAL, "channel norm: the map to write is of another size or type");
    if (sr_ctx_skip(c)) return;
    for (size_t i = 0; i < x->C; i++) ((float *)g->data)[i] = (float)(root * (double)gamma[i]);
#pragma omp parallel for schedule(static) num_threads(c->threads) if (pixels * x->C >= SR_OMP_MIN)
    for (size_t p = 0; p < pixels; p += SOME)
        kernel((uint8_t *)y->data + p * size, (const uint8_t *)x->data + p * size, g->data, eps, silu,
               SR_MIN((size_t)SOME, pixels - p), x->C);
    sr_op_done(c, SR_ELEMENTWISE, start, 8.0 * (double)pixels * (double)x->C);
}

struct sr_fmap sr_channel_norm(struct sr_ctx *c, const struct sr_fmap *x, const float *gamma, float eps, bool silu)
{
    const struct sr_fmap y = sr_fmap_scratch(c, x->F, x->H, x->W, x->C, x->type);

    sr_channel_norm_to(c, x, gamma, eps, silu, &y);
    return y;
}

struct sr_fmap sr_upsample2(struct sr_ctx *c, const struct sr_fmap *x)
{
    struct sr_fmap y = sr_fmap_scratch(c, x->F, 2 * x->H, 2 * x->W, x->C, x->type);
    const size_t pixel = x->C * sr_type_size(x->type), rows = x->F * x->H;
    const double start = sr_now();

    if (sr_ctx_skip(c)) return y;
#pragma omp parallel for schedule(static) num_threads(c->threads) if (rows * x->W * x->C >= SR_OMP_MIN)
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *from = (const uint8_t *)x->data + r * x->W * pixel;
        uint8_t *to = (uint8_t *)y.data + 4 * r * x->W * pixel;

        for (size_t i = 0; i < x->W; i++) {
            memcpy(to + 2 * i * pixel, from + i * pixel, pixel);
            memcpy(to + (2 * i + 1) * pixel, from + i * pixel, pixel);
        }
        memcpy(to + 2 * x->W * pixel, to, 2 * x->W * pixel);
    }
    sr_op_done(c, SR_REORDER, start, 0);
    return y;
}
