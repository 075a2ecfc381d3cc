/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checkasm.h"

static void check_one_norm(sr_norm_fn *ref, sr_norm_fn *opt, enum sr_elem from, enum sr_elem to, const char *name)
{
    for (size_t k = 0; k < checkasm_size_count; k++)
        for (int parts = 0; parts < 4; parts++) {
            const size_t n = checkasm_sizes[k];
            struct operand x = operand_new(n, from, k);
            struct operand w = operand_new(n, SR_E_F32, 50), b = operand_new(n, SR_E_F32, 51);
            struct operand want = operand_new(n, to, 52), got = operand_new(n, to, 53);
            const float *pw = parts & 1 ? w.data : NULL, *pb = parts & 2 ? b.data : NULL;
            const float one = parts == 3 ? 1 : 0;

            for (size_t i = 0; from == SR_E_F32 && i < n; i++) ((float *)x.data)[i] += 3;   /* a mean to take away */
            ref(want.data, x.data, pw, pb, one, 1e-5f, n);
            opt(got.data, x.data, pw, pb, one, 1e-5f, n);
            operands_near(&got, &want, 1e-5, n == 1 ? 1e-3 : 4e-6, name);
            if (n >= 1536 && parts == 3)
                BENCH(name, n, ref(want.data, x.data, pw, pb, one, 1e-5f, n),
                      opt(got.data, x.data, pw, pb, one, 1e-5f, n));
            operand_free(&x);
            operand_free(&w);
            operand_free(&b);
            operand_free(&want);
            operand_free(&got);
        }
}

static void check_layer_norm(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    check_one_norm(ref->layer_norm[SR_E_F32], opt->layer_norm[SR_E_F32], SR_E_F32, SR_E_F32, "layer_norm_f32");
    check_one_norm(ref->layer_norm[SR_E_BF16], opt->layer_norm[SR_E_BF16], SR_E_F32, SR_E_BF16, "layer_norm_bf16");
}

static void check_rms_norm(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    static const char *const names[2][2] = { { "rms_norm_f32_f32", "rms_norm_f32_bf16" },
                                             { "rms_norm_bf16_f32", "rms_norm_bf16_bf16" } };

    for (int from = 0; from < 2; from++)
        for (int to = 0; to < 2; to++)
            check_one_norm(ref->rms_norm[from][to], opt->rms_norm[from][to], (enum sr_elem)from, (enum sr_elem)to,
                           names[from][to]);
}

static void check_channel_norm(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    static const size_t sizes[] = { 1, 3, 8, 12, 16, 20, 33, 64, 96, 192, 384 };
    static const char *const names[] = { "channel_norm_f32", "channel_norm_bf16" };

    for (int type = 0; type < 2; type++)
        for (size_t k = 0; k < SR_COUNT(sizes); k++)
            for (int silu = 0; silu < 2; silu++) {
                const size_t c = sizes[k], n = 5;
                struct operand x = operand_new(n * c, (enum sr_elem)type, k), gamma = operand_new(c, SR_E_F32, 50);
                struct operand want = operand_new(n * c, (enum sr_elem)type, 51);
                struct operand got = operand_new(n * c, (enum sr_elem)type, 52);
                sr_channel_norm_fn *a = ref->channel_norm[type], *b = opt->channel_norm[type];

                memset(x.data, 0, c * (type ? 2 : 4));          /* a black pixel: eps alone divides */
                for (size_t i = 0; i < c; i++) ((float *)gamma.data)[i] *= 20;      /* both ends of silu */
                a(want.data, x.data, gamma.data, 1e-12f, silu, n, c);
                b(got.data, x.data, gamma.data, 1e-12f, silu, n, c);
                operands_near(&got, &want, 4e-6, 1e-6, names[type]);
                if (c >= 96 && silu)
                    BENCH(names[type], n * c, a(want.data, x.data, gamma.data, 1e-12f, silu, n, c),
                          b(got.data, x.data, gamma.data, 1e-12f, silu, n, c));
                operand_free(&x);
                operand_free(&gamma);
                operand_free(&want);
                operand_free(&got);
            }
}

CHECK_LEVELS(layer_norm)
CHECK_LEVELS(rms_norm)
CHECK_LEVELS(channel_norm)

void checkasm_norm(TCase *tc)
{
    tcase_add_test(tc, test_layer_norm);
    tcase_add_test(tc, test_rms_norm);
    tcase_add_test(tc, test_channel_norm);
}
