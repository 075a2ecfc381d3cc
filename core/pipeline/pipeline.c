/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "models/test/test_model.h"
#include "pipeline/pipeline.h"

bool sr_model_built_in(const char *model)
{
    return sr_test_is(model);
}

sora_result sr_pipeline_open(struct sr_pipeline **p, const struct sr_job *job, sora_error *err)
{
    *p = NULL;
    if (!job->path) return sr_test_backend_open(p, job, err);
    return sr_diffusion_open(p, job, err);
}

void sr_pipeline_close(struct sr_pipeline **p)
{
    if (*p) (*p)->ops->close(*p);
    *p = NULL;
}

sora_result sr_pipeline_info(struct sr_pipeline *p, sora_error *err)
{
    const sora_options *o = p->job.o;
    sora_info *info = &p->info;

    info->width = o->width ? o->width : info->native_width;
    info->height = o->height ? o->height : info->native_height;
    if (o->rate_num) {
        info->rate_num = o->rate_num;
        info->rate_den = o->rate_den;
    }
    if (o->frames >= 0) info->frames = o->frames;
    if (!info->frames && !info->streams)
        return sr_fail(err, SORA_ERR_OPTION, "frames: found 0 (endless), but model %s makes whole clips; wanted 1 or more",
                       info->model);
    if (!info->streams) info->chunk = (int)SR_MIN(info->frames, INT32_MAX);
    info->seed = (int64_t)p->job.seed;
    info->format = o->format;
    info->threads = o->threads ? o->threads : sr_cpu_cores();
    return SORA_OK;
}
