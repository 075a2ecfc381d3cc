/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "checkasm.h"

/* x += h, x += g * h, x *= h */
static void check_gates(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    for (int type = 0; type < 2; type++)
        for (size_t k = 0; k < checkasm_size_count; k++) {
            const size_t n = checkasm_sizes[k];
            struct operand want = operand_new(n, SR_E_F32, k), got = operand_copy(&want);
            struct operand h = operand_new(n, (enum sr_elem)type, 50), g = operand_new(n, SR_E_F32, 51);
            struct operand want_mul = operand_new(n, (enum sr_elem)type, 52), got_mul = operand_copy(&want_mul);

            ref->add[type](want.data, h.data, n);
            opt->add[type](got.data, h.data, n);
            operands_near(&got, &want, 0, 0, type ? "add_bf16" : "add_f32");
            ref->add_gated[type](want.data, h.data, g.data, n);
            opt->add_gated[type](got.data, h.data, g.data, n);
            operands_near(&got, &want, 1e-6, 1e-6, type ? "add_gated_bf16" : "add_gated_f32");
            ref->mul[type](want_mul.data, h.data, n);
            opt->mul[type](got_mul.data, h.data, n);
            operands_near(&got_mul, &want_mul, 0, 0, type ? "mul_bf16" : "mul_f32");
            if (n >= 1536) {
                memset(h.data, 0, n * (type ? 2 : 4));          /* keeps the sums where they are */
                BENCH(type ? "add_bf16" : "add_f32", n, ref->add[type](want.data, h.data, n),
                      opt->add[type](got.data, h.data, n));
                BENCH(type ? "add_gated_bf16" : "add_gated_f32", n, ref->add_gated[type](want.data, h.data, g.data, n),
                      opt->add_gated[type](got.data, h.data, g.data, n));
                BENCH(type ? "mul_bf16" : "mul_f32", n, ref->mul[type](want_mul.data, h.data, n),
                      opt->mul[type](got_mul.data, h.data, n));
            }
            operand_free(&want);
            operand_free(&got);
            operand_free(&want_mul);
            operand_free(&got_mul);
            operand_free(&h);
            operand_free(&g);
        }
}

static void check_silu(const struct sr_kernels *ref, const struct sr_kernels *opt)
{
    for (size_t k = 0; k < checkasm_size_count; k++) {
        const size_t n = checkasm_sizes[k];
        struct operand want = operand_new(n, SR_E_F32, k), got;

        for (size_t i = 0; i < n; i++) ((float *)want.data)[i] *= i % 3 ? 4.0f : 40.0f;     /* to both saturated ends */
        got = operand_copy(&want);
        ref->silu(want.data, n);
        opt->silu(got.data, n);
        operands_near(&got, &want, 2e-6, 1e-30, "silu");
        if (n >= 1536) BENCH("silu", n, ref->silu(want.data, n), opt->silu(got.data, n));
        operand_free(&want);
        operand_free(&got);
    }
}

CHECK_LEVELS(gates)
CHECK_LEVELS(silu)

void checkasm_gate(TCase *tc)
{
    tcase_add_test(tc, test_gates);
    tcase_add_test(tc, test_silu);
}
