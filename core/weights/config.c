/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The JSON configs of a model folder.  Each value is asked for with its range, so that no model checks it again. */
#include <jansson.h>
#include <stdio.h>

#include "weights/weights.h"

#define CONFIG_MAX ((size_t)16 << 20)

struct sr_config {
    char *path;
    json_t *root;               /* an object */
};

sora_result sr_config_parse(struct sr_config **out, const char *text, const char *path, sora_error *err)
{
    struct sr_config *c = sr_zalloc(sizeof *c);
    json_error_t je;
    sora_result r = SORA_OK;

    *out = NULL;
    if (!c || !(c->path = sr_strdup(path))) {
        r = sr_fail_nomem(err, sizeof *c, path);
        goto done;
    }
    if (!(c->root = json_loads(text, JSON_REJECT_DUPLICATES, &je))) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: line %d: %s", path, je.line, je.text);
        goto done;
    }
    if (!json_is_object(c->root)) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: a list where a JSON object was wanted", path);
        goto done;
    }
    *out = c;
    c = NULL;
done:
    sr_config_close(&c);
    return r;
}

sora_result sr_config_open(struct sr_config **c, const char *path, sora_error *err)
{
    char *text;
    size_t size;
    sora_result r;

    *c = NULL;
    if ((r = sr_read_file(&text, &size, CONFIG_MAX, path, err)) < 0) return r;
    if (strlen(text) != size) r = sr_fail(err, SORA_ERR_MODEL, "%s: a NUL at byte %zu; not JSON", path, strlen(text));
    else r = sr_config_parse(c, text, path, err);
    sr_free(text);
    return r;
}

void sr_config_close(struct sr_config **out)
{
    struct sr_config *c = *out;

    *out = NULL;
    if (!c) return;
    json_decref(c->root);
    sr_free(c->path);
    sr_free(c);
}

/* NULL: absent, or null, which configs write for "the default".  "a.b": b of the object a. */
static const json_t *value_of(const struct sr_config *c, const char *key)
{
    const json_t *v = c->root;

    while (v && *key) {
        const size_t n = strcspn(key, ".");
        v = json_object_getn(v, key, n);
        key += key[n] ? n + 1 : n;
    }
    return json_is_null(v) ? NULL : v;
}

bool sr_config_has(const struct sr_config *c, const char *key)
{
    return value_of(c, key) != NULL;
}

/* The value as the file has it, short enough for a message. */
static const char *show(char *out, size_t size, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: snprintf(out, size, "an object"); break;
    case JSON_ARRAY: snprintf(out, size, "a list of %zu", json_array_size(v)); break;
    case JSON_STRING: snprintf(out, size, "\"%.*s\"", (int)size - 3, json_string_value(v)); break;
    case JSON_INTEGER: snprintf(out, size, "%lld", (long long)json_integer_value(v)); break;
    case JSON_REAL: snprintf(out, size, "%g", json_real_value(v)); break;
    case JSON_TRUE: snprintf(out, size, "true"); break;
    case JSON_FALSE: snprintf(out, size, "false"); break;
    default: snprintf(out, size, "null"); break;
    }
    return out;
}

static sora_result wrong(const struct sr_config *c, const char *key, const json_t *v, const char *wanted,
                         sora_error *err)
{
    char found[80];

    return sr_fail(err, SORA_ERR_MODEL, "%s: \"%s\" is %s; wanted: %s", c->path, key, show(found, sizeof found, v),
                   wanted);
}

sora_result sr_config_known(const struct sr_config *c, const char *object, const char *const *names, size_t n,
                            sora_error *err)
{
    json_t *v = (json_t *)(object ? value_of(c, object) : c->root), *value;
    const char *key;
    char list[512] = "";
    size_t used = 0, i;

    if (!v) return SORA_OK;
    if (!json_is_object(v)) return wrong(c, object, v, "an object", err);
    json_object_foreach(v, key, value) {
        for (i = 0; i < n && strcmp(names[i], key);) i++;
        if (i < n) continue;
        for (i = 0; i < n && used < sizeof list; i++)
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", names[i]);
        return sr_fail(err, SORA_ERR_MODEL, "%s: \"%s%s%.40s\" is not known; wanted: %s", c->path, object ? object : "",
                       object ? "." : "", key, list);
    }
    return SORA_OK;
}

static sora_result read_int(const struct sr_config *c, const char *key, const json_t *v, int64_t min, int64_t max,
                            int64_t *out, sora_error *err)
{
    char wanted[80];

    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) {
        snprintf(wanted, sizeof wanted, "a whole number from %lld to %lld", (long long)min, (long long)max);
        return wrong(c, key, v, wanted, err);
    }
    *out = json_integer_value(v);
    return SORA_OK;
}

sora_result sr_config_int(const struct sr_config *c, const char *key, int64_t min, int64_t max, int64_t *out,
                          sora_error *err)
{
    const json_t *v = value_of(c, key);

    return v ? read_int(c, key, v, min, max, out, err) : SORA_OK;
}

sora_result sr_config_float(const struct sr_config *c, const char *key, double min, double max, double *out,
                            sora_error *err)
{
    const json_t *v = value_of(c, key);
    char wanted[80];

    if (!v) return SORA_OK;
    if (!json_is_number(v) || !(json_number_value(v) >= min && json_number_value(v) <= max)) {
        snprintf(wanted, sizeof wanted, "a number from %g to %g", min, max);
        return wrong(c, key, v, wanted, err);
    }
    *out = json_number_value(v);
    return SORA_OK;
}

sora_result sr_config_bool(const struct sr_config *c, const char *key, bool *out, sora_error *err)
{
    const json_t *v = value_of(c, key);

    if (!v) return SORA_OK;
    if (!json_is_boolean(v)) return wrong(c, key, v, "true or false", err);
    *out = json_is_true(v);
    return SORA_OK;
}

static sora_result read_string(const struct sr_config *c, const char *key, const json_t *v, char *out, size_t size,
                               sora_error *err)
{
    char wanted[80];

    if (!json_is_string(v) || json_string_length(v) >= size) {
        snprintf(wanted, sizeof wanted, "a text of at most %zu bytes", size - 1);
        return wrong(c, key, v, wanted, err);
    }
    memcpy(out, json_string_value(v), json_string_length(v) + 1);
    return SORA_OK;
}

sora_result sr_config_string(const struct sr_config *c, const char *key, char *out, size_t size, sora_error *err)
{
    const json_t *v = value_of(c, key);

    return v ? read_string(c, key, v, out, size, err) : SORA_OK;
}

sora_result sr_config_string_at(const struct sr_config *c, const char *key, size_t i, char *out, size_t size,
                                sora_error *err)
{
    const json_t *v = value_of(c, key), *item = json_array_get(v, i);
    char wanted[80];

    if (!v || json_is_null(item)) return SORA_OK;      /* [null, null]: a part that the model does without */
    if (!json_is_array(v) || !item) {
        snprintf(wanted, sizeof wanted, "a list of at least %zu", i + 1);
        return wrong(c, key, v, wanted, err);
    }
    return read_string(c, key, item, out, size, err);
}

static sora_result check_list(const struct sr_config *c, const char *key, const json_t *v, size_t max, sora_error *err)
{
    char wanted[80];

    if (json_is_array(v) && json_array_size(v) <= max) return SORA_OK;
    snprintf(wanted, sizeof wanted, "a list of at most %zu", max);
    return wrong(c, key, v, wanted, err);
}

sora_result sr_config_floats(const struct sr_config *c, const char *key, double *out, size_t max, size_t *n,
                             sora_error *err)
{
    const json_t *v = value_of(c, key);
    sora_result r;

    if (!v) return SORA_OK;
    if ((r = check_list(c, key, v, max, err)) < 0) return r;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        if (!json_is_number(item)) return wrong(c, key, item, "numbers", err);
        out[i] = json_number_value(item);
    }
    *n = json_array_size(v);
    return SORA_OK;
}

sora_result sr_config_ints(const struct sr_config *c, const char *key, int64_t min, int64_t vmax, int64_t *out,
                           size_t max, size_t *n, sora_error *err)
{
    const json_t *v = value_of(c, key);
    sora_result r;

    if (!v) return SORA_OK;
    if ((r = check_list(c, key, v, max, err)) < 0) return r;
    for (size_t i = 0; i < json_array_size(v); i++)
        if ((r = read_int(c, key, json_array_get(v, i), min, vmax, &out[i], err)) < 0) return r;
    *n = json_array_size(v);
    return SORA_OK;
}

sora_result sr_config_bools(const struct sr_config *c, const char *key, bool *out, size_t max, size_t *n,
                            sora_error *err)
{
    const json_t *v = value_of(c, key);
    sora_result r;

    if (!v) return SORA_OK;
    if ((r = check_list(c, key, v, max, err)) < 0) return r;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *item = json_array_get(v, i);
        if (!json_is_boolean(item)) return wrong(c, key, item, "true or false", err);
        out[i] = json_is_true(item);
    }
    *n = json_array_size(v);
    return SORA_OK;
}
