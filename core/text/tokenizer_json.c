/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tokenizer.json, the format of the "tokenizers" package, as a SentencePiece model: newer exports of a unigram tokenizer
 * hold nothing else.  What both formats say (pieces with scores, the normaliser's compiled map, special pieces) is
 * written as the ModelProto message that the SentencePiece library parses:
 *
 *   ModelProto      1 pieces (1 piece, 2 score, 3 type), 2 trainer_spec, 3 normalizer_spec
 *   TrainerSpec     3 model_type, 35 byte_fallback, 40 unk_id, 41 bos_id, 42 eos_id, 43 pad_id
 *   NormalizerSpec  1 name, 2 precompiled_charsmap, 3 add_dummy_prefix, 4 remove_extra_whitespaces, 5 escape_whitespaces
 */
#include <jansson.h>
#include <stdio.h>

#include "text/tokenizer_json.h"

enum piece_type { NORMAL = 1, UNKNOWN = 2, CONTROL = 3, USER_DEFINED = 4, BYTE = 6 };

/* Protocol buffer wire format, growing; the first failed allocation is kept. */
struct message {
    uint8_t *data;
    size_t size, room;
    bool failed;
};

static void put_bytes(struct message *m, const void *data, size_t n)
{
    if (m->failed) return;
    if (m->room - m->size < n) {
        const size_t room = SR_MAX(m->room * 2, m->size + n + 4096);
        uint8_t *p = sr_realloc(m->data, room, 1);
        if (!p) {
            m->failed = true;
            return;
        }
        m->data = p;
        m->room = room;
    }
    memcpy(m->data + m->size, data, n);
    m->size += n;
}

static void put_varint(struct message *m, uint64_t v)
{
    uint8_t out[10];
    size_t n = 0;

    do {
        out[n++] = (uint8_t)((v & 0x7f) | (v > 0x7f ? 0x80 : 0));
        v >>= 7;
    } while (v);
    put_bytes(m, out, n);
}

static void put_int(struct message *m, unsigned field, int64_t v)
{
    put_varint(m, field << 3);
    put_varint(m, (uint64_t)v);
}

static void put_float(struct message *m, unsigned field, float v)
{
    put_varint(m, field << 3 | 5);
    put_bytes(m, &v, sizeof v);
}

static void put_string(struct message *m, unsigned field, const void *data, size_t n)
{
    put_varint(m, field << 3 | 2);
    put_varint(m, n);
    put_bytes(m, data, n);
}

static void put_message(struct message *m, unsigned field, struct message *inner)
{
    put_string(m, field, inner->data, inner->size);
    m->failed |= inner->failed;
    inner->size = 0;
}

/* -> bytes written to out; -1: not base64 */
static ptrdiff_t base64(uint8_t *out, const char *in, size_t n)
{
    uint32_t bits = 0;
    int have = 0;
    ptrdiff_t size = 0;

    for (size_t i = 0; i < n && in[i] != '='; i++) {
        const char c = in[i];
        const int v = c >= 'A' && c <= 'Z'   ? c - 'A'
                      : c >= 'a' && c <= 'z' ? c - 'a' + 26
                      : c >= '0' && c <= '9' ? c - '0' + 52
                      : c == '+'             ? 62
                      : c == '/'             ? 63
                                             : -1;
        if (v < 0) return -1;
        bits = bits << 6 | (uint32_t)v;
        if ((have += 6) >= 8) out[size++] = (uint8_t)(bits >> (have -= 8));
    }
    return size;
}

static sora_result put_normalizer(struct message *m, const json_t *normalizer, const char *path, sora_error *err)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    const json_t *list = json_object_get(normalizer, "normalizers"), *item;
    sora_result r;
    size_t i;

    if (!type) return SORA_OK;                          /* none, or null */
    if (!strcmp(type, "Sequence")) {
        json_array_foreach((json_t *)list, i, item)
            if ((r = put_normalizer(m, item, path, err)) < 0) return r;
    } else if (!strcmp(type, "Precompiled")) {
        const json_t *map = json_object_get(normalizer, "precompiled_charsmap");
        const size_t n = json_string_length(map);
        uint8_t *out = sr_malloc(n);
        ptrdiff_t size;

        if (!out) return sr_fail_nomem(err, n, path);
        size = json_is_string(map) ? base64(out, json_string_value(map), n) : -1;
        if (size >= 0) put_string(m, 2, out, (size_t)size);
        sr_free(out);
        if (size < 0) return sr_fail(err, SORA_ERR_MODEL, "%s: precompiled_charsmap is not base64 text", path);
    } else if (strcmp(type, "Strip") && strcmp(type, "Replace")) {
        /* Both only squeeze white space, which remove_extra_whitespaces does below. */
        return sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: normalizer \"%.60s\", wanted Precompiled as SentencePiece models have",
                       path, type);
    }
    return SORA_OK;
}

/* Without byte_fallback "<0x41>" is a piece like any other; SentencePiece refuses byte pieces then. */
static enum piece_type piece_type(const char *piece, const json_t *special, int64_t id, int64_t unk, bool bytes)
{
    unsigned byte;
    int n = 0;

    if (id == unk) return UNKNOWN;
    if (json_object_get(special, piece)) return json_is_true(json_object_get(special, piece)) ? CONTROL : USER_DEFINED;
    if (bytes && sscanf(piece, "<0x%2X>%n", &byte, &n) == 1 && n == 6 && !piece[6]) return BYTE;
    return NORMAL;
}

/* added_tokens as { text: is it special } */
static json_t *added_tokens(const json_t *root)
{
    json_t *out = json_object();
    const json_t *token;
    size_t i;

    json_array_foreach(json_object_get(root, "added_tokens"), i, token) {
        const char *content = json_string_value(json_object_get(token, "content"));
        if (content) json_object_set_new(out, content, json_boolean(json_is_true(json_object_get(token, "special"))));
    }
    return out;
}

static sora_result put_pieces(struct message *m, const json_t *model, const json_t *special, int64_t unk, int64_t *eos,
                              int64_t *pad, const char *path, sora_error *err)
{
    const json_t *vocab = json_object_get(model, "vocab"), *entry;
    const bool bytes = json_is_true(json_object_get(model, "byte_fallback"));
    struct message piece = { 0 };
    size_t i;

    json_array_foreach((json_t *)vocab, i, entry) {
        const json_t *text = json_array_get(entry, 0), *score = json_array_get(entry, 1);
        if (!json_is_string(text) || !json_is_number(score)) {
            sr_free(piece.data);
            return sr_fail(err, SORA_ERR_MODEL, "%s: entry %zu of the vocabulary is not [piece, score]", path, i);
        }
        if (!strcmp(json_string_value(text), "</s>")) *eos = (int64_t)i;
        if (!strcmp(json_string_value(text), "<pad>")) *pad = (int64_t)i;
        put_string(&piece, 1, json_string_value(text), json_string_length(text));
        put_float(&piece, 2, (float)json_number_value(score));
        put_int(&piece, 3, piece_type(json_string_value(text), special, (int64_t)i, unk, bytes));
        put_message(m, 1, &piece);
    }
    m->failed |= piece.failed;
    sr_free(piece.data);
    return SORA_OK;
}

sora_result sr_tokenizer_json_convert(char **proto, size_t *size, const char *path, sora_error *err)
{
    struct message m = { 0 }, spec = { 0 };
    json_t *root = NULL, *special = NULL;
    const json_t *model;
    const char *type;
    json_error_t je;
    char *text = NULL;
    size_t n;
    int64_t unk, eos = -1, pad = -1;
    sora_result r;

    *proto = NULL;
    *size = 0;
    if ((r = sr_read_file(&text, &n, SR_TOKENIZER_MAX_BYTES, path, err)) < 0) goto done;
    if (!(root = json_loadb(text, n, 0, &je))) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: line %d: %s", path, je.line, je.text);
        goto done;
    }
    model = json_object_get(root, "model");
    type = json_string_value(json_object_get(model, "type"));
    if (type ? strcmp(type, "Unigram") : !json_is_array(json_object_get(model, "vocab"))) {
        r = sr_fail(err, SORA_ERR_UNSUPPORTED, "%s: a tokenizer of type \"%.60s\", wanted \"Unigram\"", path,
                    type ? type : "none");
        goto done;
    }
    if (!json_array_size(json_object_get(model, "vocab"))) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: the vocabulary is empty", path);
        goto done;
    }
    unk = json_is_integer(json_object_get(model, "unk_id")) ? json_integer_value(json_object_get(model, "unk_id")) : -1;
    if (unk < 0 || (size_t)unk >= json_array_size(json_object_get(model, "vocab"))) {
        r = sr_fail(err, SORA_ERR_MODEL, "%s: unk_id is missing or not a piece of the vocabulary", path);
        goto done;
    }
    special = added_tokens(root);
    if ((r = put_pieces(&m, model, special, unk, &eos, &pad, path, err)) < 0) goto done;

    put_int(&spec, 3, 1);                               /* UNIGRAM */
    put_int(&spec, 35, json_is_true(json_object_get(model, "byte_fallback")));
    put_int(&spec, 40, unk);
    put_int(&spec, 41, -1);
    put_int(&spec, 42, eos);
    put_int(&spec, 43, pad);
    put_message(&m, 2, &spec);
    if ((r = put_normalizer(&spec, json_object_get(root, "normalizer"), path, err)) < 0) goto done;
    put_int(&spec, 3, 1);
    put_int(&spec, 4, 1);
    put_int(&spec, 5, 1);
    put_message(&m, 3, &spec);
    if (m.failed) {
        r = sr_fail_nomem(err, m.room * 2, path);
        goto done;
    }
    *proto = (char *)m.data;
    *size = m.size;
    m.data = NULL;
done:
    json_decref(special);
    json_decref(root);
    sr_free(text);
    sr_free(spec.data);
    sr_free(m.data);
    return r;
}
