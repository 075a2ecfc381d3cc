/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The only C++ here: no exception leaves this file. */
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include <sentencepiece_processor.h>

#include "text/spm.h"

struct sr_spm {
    sentencepiece::SentencePieceProcessor p;
};

namespace {
/* -1: no memory; -2 with the reason */
template <typename F> long guarded(char *why, size_t size, F f)
{
    try {
        return f();
    } catch (const std::bad_alloc &) {
        return -1;
    } catch (const std::exception &e) {
        std::snprintf(why, size, "%s", e.what());
    } catch (...) {
        std::snprintf(why, size, "unknown failure");
    }
    return -2;
}

long refuse(char *why, size_t size, const sentencepiece::util::Status &status)
{
    std::snprintf(why, size, "%s", status.ToString().c_str());
    return -2;
}
}

extern "C" int sr_spm_open(sr_spm **out, const void *model, size_t size, char *why, size_t why_size)
{
    sr_spm *s = new (std::nothrow) sr_spm;

    *out = nullptr;
    if (!s) return -1;
    const long r = guarded(why, why_size, [&]() -> long {
        const auto status = s->p.LoadFromSerializedProto({ static_cast<const char *>(model), size });
        return status.ok() ? 0 : refuse(why, why_size, status);
    });
    if (r < 0) delete s;
    else *out = s;
    return static_cast<int>(r);
}

extern "C" void sr_spm_close(sr_spm *s)
{
    delete s;
}

extern "C" int sr_spm_eos(const sr_spm *s)
{
    return s->p.eos_id();
}

extern "C" long sr_spm_encode(const sr_spm *s, const char *text, size_t size, int32_t *ids, size_t max, char *why,
                              size_t why_size)
{
    return guarded(why, why_size, [&]() -> long {
        std::vector<int> out;
        const auto status = s->p.Encode({ text, size }, &out);
        if (!status.ok()) return refuse(why, why_size, status);
        for (size_t i = 0; i < out.size() && i < max; i++) ids[i] = out[i];
        return static_cast<long>(out.size());
    });
}
