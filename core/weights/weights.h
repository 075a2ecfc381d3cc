/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Model files: found by content, mapped read-only, parameters looked up by name and checked against what is wanted. */
#ifndef SR_WEIGHTS_H
#define SR_WEIGHTS_H

#include "tensor/ops.h"

struct sr_weights;              /* one or more files that together hold named tensors */

struct sr_weight {
    const char *name;
    const void *data;           /* in the mapping, at any address; valid until sr_weights_close() */
    enum sr_type type;
    int ndim;
    size_t dim[8];              /* slowest first */
    size_t n;                   /* elements */
};

/*
 * path: a safetensors file, an index.json of shards, or a folder that holds either (diffusion_pytorch_model.*,
 * model.*, or the only *.safetensors in it).  Headers are read and checked whole; no data page is touched.
 * Tensors are listed sorted by name.
 */
sora_result sr_weights_open(struct sr_weights **w, const char *path, sora_error *err);
/* A made-up file for sora bench: every sr_weights_get() succeeds, with numbers of the seed, deviation 1/sqrt(fan-in). */
sora_result sr_weights_open_random(struct sr_weights **w, uint64_t seed, sora_error *err);
void sr_weights_close(struct sr_weights **w);

size_t sr_weights_count(const struct sr_weights *w);
const struct sr_weight *sr_weights_at(const struct sr_weights *w, size_t i);
/* NULL: absent, as everything is from random weights, whose shapes nobody knows before sr_weights_get() */
const struct sr_weight *sr_weights_find(const struct sr_weights *w, const char *name);
bool sr_weights_random(const struct sr_weights *w);
const char *sr_weights_path(const struct sr_weights *w);
uint64_t sr_weights_bytes(const struct sr_weights *w);
/* metadata of a safetensors header, NULL: absent */
const char *sr_weights_meta(const struct sr_weights *w, const char *key);
/* The pages of one tensor, or of all (name NULL), are not needed now; they come back from the file. */
void sr_weights_forget(struct sr_weights *w, const char *name);

/*
 * Second name tables: a file with other names (Wan's original single file) is opened with a rename function that turns
 * the name we ask for into the name in the file; out has room for size bytes; false: the name is the same.
 */
typedef bool sr_rename_fn(char *out, size_t size, const char *name);
void sr_weights_rename(struct sr_weights *w, sr_rename_fn *fn, const char *prefix);
/*
 * The same with the prefix found out: the first of the usual ones ("", "model.", "net.", "model.diffusion_model.",
 * "generator_ema.model." ...) with which the tensor that we call `probe` exists.  false: none, and nothing changes.
 */
bool sr_weights_detect(struct sr_weights *w, sr_rename_fn *fn, const char *probe);
/* The one that is in use. */
const char *sr_weights_prefix(const struct sr_weights *w);

/*
 * The one lookup that loaders use: `name` (printf form) must exist with exactly this shape and a float type.
 * dims: slowest first; on failure one message: file, tensor, what was found, what was wanted.
 */
sora_result sr_weights_get(struct sr_weights *w, struct sr_param *p, sora_error *err, int ndim, const size_t *dim,
                           const char *fmt, ...) SORA_PRINTF(6, 7);

/* ---- Loader: after the first failure every call does nothing: a model's loader reads as its list of names ---- */

struct sr_lora;

struct sr_loader {
    struct sr_ctx *c;
    struct sr_weights *w;
    struct sr_lora *lora;       /* lora.h: added to the weights of linear layers; NULL: nothing is */
    sora_error *err;
    sora_result result;         /* of the first failure, SORA_OK */
    char prefix[256];           /* put before each name: "blocks.3." */
};

/* [n] f32 vector; NULL in plan or after a failure */
float *sr_load_vec(struct sr_loader *l, size_t n, const char *name);
/* any shape, as f32, flattened */
float *sr_load_f32(struct sr_loader *l, int ndim, const size_t *dim, const char *name);
/* name.weight [out, in] and, if bias, name.bias [out] */
struct sr_linear *sr_load_linear(struct sr_loader *l, size_t out, size_t in, bool bias, bool f32_only,
                                 const char *name);
/* several stacked along the output axis, each [out, in] */
struct sr_linear *sr_load_linears(struct sr_loader *l, size_t out, size_t in, bool bias, bool f32_only, int parts,
                                  const char *const *names);
struct sr_conv *sr_load_conv(struct sr_loader *l, const struct sr_conv_shape *s, bool two_d, bool bias,
                             const char *name);

/* ---- Configs: JSON objects of a model folder (Jansson), each value with a range; key "a.b": b of the object a ---- */

struct sr_config;
sora_result sr_config_open(struct sr_config **c, const char *path, sora_error *err);
sora_result sr_config_parse(struct sr_config **c, const char *text, const char *path, sora_error *err);
void sr_config_close(struct sr_config **c);
bool sr_config_has(const struct sr_config *c, const char *key);        /* present and not null */
/* SORA_ERR_MODEL for a key of the object (NULL: of the whole) that is not among names: a misspelt one would do nothing. */
sora_result sr_config_known(const struct sr_config *c, const char *object, const char *const *names, size_t n,
                            sora_error *err);
/* Absent: *out keeps its value.  Wrong type or out of range: SORA_ERR_MODEL naming file, key, found, wanted. */
sora_result sr_config_int(const struct sr_config *c, const char *key, int64_t min, int64_t max, int64_t *out,
                          sora_error *err);
sora_result sr_config_float(const struct sr_config *c, const char *key, double min, double max, double *out,
                            sora_error *err);
sora_result sr_config_bool(const struct sr_config *c, const char *key, bool *out, sora_error *err);
/* Into out[size]; too long: an error. */
sora_result sr_config_string(const struct sr_config *c, const char *key, char *out, size_t size, sora_error *err);
/* A list of numbers into out[max]; *n: how many there are. */
sora_result sr_config_floats(const struct sr_config *c, const char *key, double *out, size_t max, size_t *n,
                             sora_error *err);
sora_result sr_config_ints(const struct sr_config *c, const char *key, int64_t min, int64_t vmax, int64_t *out,
                           size_t max, size_t *n, sora_error *err);
sora_result sr_config_bools(const struct sr_config *c, const char *key, bool *out, size_t max, size_t *n,
                            sora_error *err);
/* Item i of a list of two strings, as model_index.json has: ["diffusers", "WanTransformer3DModel"]. */
sora_result sr_config_string_at(const struct sr_config *c, const char *key, size_t i, char *out, size_t size,
                                sora_error *err);

/* ---- Small files for comparison ---- */

struct sr_named {
    const char *name;
    const float *data;
    int ndim;
    size_t dim[8];
};
/* Write a safetensors file of f32 tensors. */
sora_result sr_safetensors_write(const char *path, const struct sr_named *t, size_t count, sora_error *err);

#endif
