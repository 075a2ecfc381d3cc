/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "checkasm.h"

bool checkasm_bench;
const char *checkasm_level = "";

const size_t checkasm_sizes[] = { 1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 129, 384, 1536, 5120 };
const size_t checkasm_size_count = SR_COUNT(checkasm_sizes);

static const struct {
    const char *name;
    unsigned cpu;
} levels[] = {
    { "avx2", SR_CPU_AVX2 },
    { "avx512", SR_CPU_AVX2 | SR_CPU_AVX512 },
    { "avx512bf16", SR_CPU_AVX2 | SR_CPU_AVX512 | SR_CPU_AVX512_BF16 },
    { "all", ~0u },
};

void checkasm_levels(checkasm_fn *check)
{
    struct sr_kernels ref, opt, before;

    sr_kernels_init(&ref, 0);
    before = ref;
    for (size_t i = 0; i < SR_COUNT(levels); i++) {
        const unsigned cpu = levels[i].cpu & sr_cpu_flags();

        if (levels[i].cpu != ~0u && cpu != levels[i].cpu) continue;
        sr_kernels_init(&opt, cpu);
        if (!memcmp(&opt, &before, sizeof opt)) continue;       /* nothing new at this level */
        before = opt;
        checkasm_level = levels[i].name;
        check(&ref, &opt);
    }
}

void *guarded(size_t bytes, size_t off)
{
    uint8_t *p = aligned_alloc(64, SR_ROUND_UP(bytes + off + 2 * GUARD_BYTES, 64));

    memset(p, 0xa5, bytes + off + 2 * GUARD_BYTES);
    return p + GUARD_BYTES + off;
}

void check_guard(const void *p, size_t bytes)
{
    const uint8_t *b = p;

    for (size_t i = 1; i <= GUARD_BYTES; i++) {
        ck_assert_msg(b[-(ptrdiff_t)i] == 0xa5, "%s: wrote %zu bytes in front", checkasm_level, i);
        ck_assert_msg(b[bytes + i - 1] == 0xa5, "%s: wrote %zu bytes behind %zu", checkasm_level, i, bytes);
    }
}

void free_guarded(void *p, size_t off)
{
    free((uint8_t *)p - GUARD_BYTES - off);
}

static size_t size_of(enum sr_elem type)
{
    return type == SR_E_BF16 ? 2 : 4;
}

static float get(const struct operand *o, size_t i)
{
    return o->type == SR_E_BF16 ? sr_bf16_to_f32(((const uint16_t *)o->data)[i]) : ((const float *)o->data)[i];
}

struct operand operand_new(size_t n, enum sr_elem type, uint64_t stream)
{
    struct operand o = { guarded(n * size_of(type), size_of(type)), n, type };
    float *f = malloc((n + 4) * sizeof *f);

    sr_rng_normal(f, n, 1, stream, 0);
    for (size_t i = 0; i < n; i++) {
        if (type == SR_E_BF16)
            ((uint16_t *)o.data)[i] = sr_f32_to_bf16(f[i]);
        else
            ((float *)o.data)[i] = f[i];
    }
    free(f);
    return o;
}

struct operand operand_copy(const struct operand *o)
{
    struct operand c = { guarded(o->n * size_of(o->type), size_of(o->type)), o->n, o->type };

    memcpy(c.data, o->data, o->n * size_of(o->type));
    return c;
}

void operand_free(struct operand *o)
{
    check_guard(o->data, o->n * size_of(o->type));
    free_guarded(o->data, size_of(o->type));
    o->data = NULL;
}

void operands_near(const struct operand *got, const struct operand *want, double relative, double absolute,
                   const char *what)
{
    const double step = got->type == SR_E_BF16 ? 1.0 / 128 : 0;

    check_guard(got->data, got->n * size_of(got->type));
    for (size_t i = 0; i < got->n; i++) {
        const double g = get(got, i), w = get(want, i);
        ck_assert_msg(fabs(g - w) <= (relative + step) * fabs(w) + absolute || (isnan(g) && isnan(w)) || g == w,
                      "%s, %s: element %zu of %zu is %.9g, expected %.9g", what, checkasm_level, i, got->n, g, w);
    }
}

void checkasm_print(const char *what, size_t n, double c_seconds, double opt_seconds)
{
    printf("%-24s %-10s %6zu  C %9.1f ns  %9.1f ns  %5.1f x\n", what, checkasm_level, n, 1e9 * c_seconds,
           1e9 * opt_seconds, c_seconds / opt_seconds);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    Suite *s = suite_create("checkasm");
    TCase *tc = tcase_create("kernels");
    SRunner *r = srunner_create(s);
    int failed;

    checkasm_bench = argc > 1 && !strcmp(argv[1], "--bench");
    tcase_set_timeout(tc, checkasm_bench ? 600 : 120);
    checkasm_convert(tc);
    checkasm_norm(tc);
    checkasm_rope(tc);
    checkasm_gate(tc);
    checkasm_attention(tc);
    suite_add_tcase(s, tc);
    srunner_run_all(r, CK_ENV);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
