/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sora serve: video over HTTP for programs that can open an address: ffmpeg -i "http://127.0.0.1:8080/v?prompt=a%20dog".
 * Each connection has a thread of libmicrohttpd, which asks for bytes and may wait for a chunk; one more thread looks
 * after clients that leave meanwhile.  An address chooses what to show and how, never a file: see url_options[].
 */
#define _GNU_SOURCE                 /* POLLRDHUP */
#include <arpa/inet.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <microhttpd.h>

#include "cli.h"

#define WATCH_MS 100                /* how soon a client that left is noticed */
#define IDLE_S 600                  /* a client that takes no byte for so long loses its job */

struct server {
    struct args *a;
    bool loopback;
    pthread_mutex_t lock;           /* guards what follows */
    struct job *jobs;
    int running;
    bool stopping;
};

/* One video on its way to one client. */
struct job {
    struct server *server;
    struct job *next;
    sora_session *session;
    sora_info info;
    sora_frame frame;               /* its planes lie in data, packed, behind "FRAME\n" */
    char *data;
    size_t size, sent;              /* of data: bytes to send, and those that are sent */
    size_t frame_size;
    int64_t frames;
    int fd;                         /* the client's socket */
};

/* ---- From the address to options ---- */

static const char *const url_options[] = {
    "prompt", "negative-prompt", "model", "size", "rate", "frames", "seed", "steps", "guidance", "shift", "sampler",
};

struct request {
    sora_options o;
    const char *duration;
    int status;                     /* of the reply, once something is wrong */
    sora_error err;
};

static enum MHD_Result refuse(struct request *q, int status, const char *fmt, ...) SORA_PRINTF(3, 4);
static enum MHD_Result refuse(struct request *q, int status, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(q->err.text, sizeof q->err.text, fmt, ap);
    va_end(ap);
    q->status = status;
    return MHD_NO;                  /* ends the iteration */
}

struct search {
    const char *name;
    bool found;
};

static int is_named(void *user, const char *model, const char *path)
{
    struct search *s = user;

    return s->found = !strcmp(s->name, model);
}

/* A name that the library lists; never a path. */
static bool known_model(const char *name)
{
    struct search s = { name, !strcmp(name, "test") };

    return s.found || (sora_models(is_named, &s, NULL) == SORA_OK && s.found);
}

static enum MHD_Result take_argument(void *user, enum MHD_ValueKind kind, const char *key, size_t key_size,
                                     const char *value, size_t value_size)
{
    struct request *q = user;

    if (!value || strlen(key) != key_size || strlen(value) != value_size)
        return refuse(q, 400, "%.100s: found %s, wanted %.100s=TEXT", key, value ? "a NUL byte" : "no value", key);
    if (!strcmp(key, "duration")) {
        q->duration = value;
        return MHD_YES;
    }
    if (!strcmp(key, "format")) {
        if (args_format(value, &q->o.format)) return MHD_YES;
        return refuse(q, 400, "format: found \"%.100s\", wanted yuv420p, yuv422p, yuv444p or one of these with 10 "
                      "behind it", value);
    }
    for (size_t i = 0; i < COUNT(url_options); i++) {
        if (strcmp(key, url_options[i])) continue;
        if (!strcmp(key, "model") && !known_model(value))
            return refuse(q, 404, "model: found \"%.100s\", wanted a name that \"sora info\" lists", value);
        if (sora_options_set(&q->o, key, value, &q->err) == SORA_OK) return MHD_YES;
        q->status = 400;
        return MHD_NO;
    }
    return refuse(q, 400, "%.100s: no such option; there are prompt, negative-prompt, model, size, rate, duration, "
                  "frames, seed, steps, guidance, shift, sampler, format", key);
}

static bool parse_seconds(const char *s, double *v)
{
    char *end;

    if (!*s || strspn(s, "0123456789.") != strlen(s)) return false;
    *v = strtod(s, &end);
    return !*end && isfinite(*v);
}

/* Open the session that a request asks for, within the server's limits. */
static sora_session *open_session(struct server *v, struct request *q, sora_info *info)
{
    const struct args *a = v->a;
    sora_session *s = NULL;
    double seconds = 0;

    if (q->duration && !parse_seconds(q->duration, &seconds))
        return refuse(q, 400, "duration: found \"%.100s\", wanted seconds, as 5 or 2.5", q->duration), NULL;
    for (int pass = 0; pass < 1 + (q->duration != NULL); pass++) {
        sora_session_close(&s);
        if (pass == 1) q->o.frames = (int64_t)ceil(fmin(seconds * info->rate_num / info->rate_den - 1e-9, 1e9));
        if (pass == 1 && q->o.frames < 1)
            return refuse(q, 400, "duration: found \"%.100s\", wanted at least one frame", q->duration), NULL;
        if (sora_session_open(&s, &q->o, &q->err) < 0) {
            q->status = q->err.code == SORA_ERR_OPTION || q->err.code == SORA_ERR_UNSUPPORTED ? 400 :
                        q->err.code == SORA_ERR_NOT_FOUND ? 404 : 500;
            return NULL;
        }
        sora_info_init(info);
        sora_session_get_info(s, info);
    }
    seconds = (double)info->frames * info->rate_den / info->rate_num;
    if (a->max_seconds > 0 && (info->frames == 0 || seconds > a->max_seconds))
        refuse(q, 400, "length: found %.0f frames%s, wanted at most %g seconds", (double)info->frames,
               info->frames ? "" : " (endless)", a->max_seconds);
    else if ((int64_t)info->width * info->height > (int64_t)a->max_width * a->max_height)
        refuse(q, 400, "size: found %dx%d, wanted at most as many pixels as %dx%d have", info->width, info->height,
               a->max_width, a->max_height);
    if (q->status) sora_session_close(&s);
    return s;
}

/* ---- Jobs ---- */

static void job_free(struct job *j)
{
    sora_session_close(&j->session);
    free(j->data);
    free(j);
}

static struct job *job_new(struct server *v, sora_session *s, const sora_info *info, int fd)
{
    struct job *j = calloc(1, sizeof *j);
    size_t at = Y4M_FRAME_SIZE;

    if (!j) return NULL;
    *j = (struct job){ .server = v, .session = s, .info = *info, .fd = fd, .frame_size = at };
    for (int p = 0; p < sora_format_planes(info->format); p++)
        j->frame_size += sora_format_row_bytes(info->format, p, info->width) *
                         (size_t)sora_format_rows(info->format, p, info->height);
    if (!(j->data = malloc(j->frame_size + Y4M_HEADER_MAX))) {
        free(j);
        return NULL;
    }
    j->size = y4m_header_text(j->data, info);
    sora_frame_init(&j->frame);
    for (int p = 0; p < sora_format_planes(info->format); p++) {
        const size_t row = sora_format_row_bytes(info->format, p, info->width);
        j->frame.data[p] = (uint8_t *)j->data + at;
        j->frame.stride[p] = (ptrdiff_t)row;
        at += row * (size_t)sora_format_rows(info->format, p, info->height);
    }
    return j;
}

/* False: enough are at work. */
static bool job_begin(struct server *v, struct job *j)
{
    bool begun;

    pthread_mutex_lock(&v->lock);
    if ((begun = v->running < v->a->jobs && !v->stopping)) {
        v->running++;
        j->next = v->jobs;
        v->jobs = j;
    }
    pthread_mutex_unlock(&v->lock);
    return begun;
}

static void job_end(struct server *v, struct job *j)
{
    pthread_mutex_lock(&v->lock);
    for (struct job **p = &v->jobs; *p; p = &(*p)->next)
        if (*p == j) {
            *p = j->next;
            v->running--;
            break;
        }
    pthread_mutex_unlock(&v->lock);
    if (!v->a->quiet) complain("serve: %lld frames sent", (long long)j->frames);
    job_free(j);
}

/* libmicrohttpd wants bytes; waits for a chunk where it must. */
static ssize_t job_read(void *user, uint64_t pos, char *buffer, size_t max)
{
    struct job *j = user;
    sora_error err = { 0 };
    sora_result r;

    if (j->sent == j->size) {
        if ((r = sora_session_next(j->session, &j->frame, &err)) == SORA_EOS) return MHD_CONTENT_READER_END_OF_STREAM;
        if (r < 0) {
            if (r != SORA_ERR_CANCELLED) complain("serve: %s", err.text);
            return MHD_CONTENT_READER_END_WITH_ERROR;       /* the client sees a reply that is cut off */
        }
        memcpy(j->data, "FRAME\n", Y4M_FRAME_SIZE);
        j->size = j->frame_size;
        j->sent = 0;
        j->frames++;
    }
    if (max > j->size - j->sent) max = j->size - j->sent;
    memcpy(buffer, j->data + j->sent, max);
    j->sent += max;
    return (ssize_t)max;
}

/* Clients that closed their end, and the end of the server, cancel the work that somebody waits for. */
static void *watch(void *user)
{
    struct server *v = user;
    bool over = false;

    while (!over) {
        pthread_mutex_lock(&v->lock);
        for (struct job *j = v->jobs; j; j = j->next) {
            struct pollfd p = { .fd = j->fd, .events = POLLRDHUP };
            if (v->stopping || (poll(&p, 1, 0) > 0 && p.revents)) sora_session_cancel(j->session);
        }
        over = v->stopping && !v->jobs;
        pthread_mutex_unlock(&v->lock);
        poll(NULL, 0, WATCH_MS);
    }
    return NULL;
}

/* ---- HTTP ---- */

static enum MHD_Result reply_text(struct MHD_Connection *c, int status, const char *text)
{
    char line[1100];
    const int n = snprintf(line, sizeof line, "%s\n", text);
    struct MHD_Response *r = MHD_create_response_from_buffer((size_t)n, line, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued;

    if (!r) return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "text/plain; charset=utf-8");
    if (status == 405) MHD_add_response_header(r, "Allow", "GET, HEAD");
    if (status == 503) MHD_add_response_header(r, "Retry-After", "5");
    queued = MHD_queue_response(c, (unsigned)status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result reply_video(struct MHD_Connection *c, struct job *j)
{
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 65536, job_read, j, NULL);
    enum MHD_Result queued;

    if (!r) return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "video/x-yuv4mpeg");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_set_connection_option(c, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)IDLE_S);
    queued = MHD_queue_response(c, 200, r);
    MHD_destroy_response(r);
    return queued;
}

/* A page from elsewhere, open in a browser of this machine, may not set it to work: it names another host, or says so. */
static bool from_elsewhere(const struct server *v, struct MHD_Connection *c)
{
    static const char *const here[] = { "127.0.0.1", "localhost", "[::1]" };
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    const char *site = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Sec-Fetch-Site");

    if (site && strcasecmp(site, "none") && strcasecmp(site, "same-origin")) return true;
    if (!v->loopback || !host) return false;
    for (size_t i = 0; i < COUNT(here); i++) {
        const size_t n = strlen(here[i]);
        if (!strncasecmp(host, here[i], n) && (!host[n] || host[n] == ':')) return false;
    }
    return true;
}

static enum MHD_Result answer(void *user, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **state)
{
    struct server *v = user;
    struct request q = { .o = v->a->o };
    sora_session *s;
    sora_info info;
    struct job *j;

    if (from_elsewhere(v, c)) return reply_text(c, 403, "only programs of this machine are served");
    if (strcmp(method, "GET") && strcmp(method, "HEAD")) return reply_text(c, 405, "wanted GET");
    if (strcmp(url, "/v")) return reply_text(c, 404, "wanted /v?prompt=TEXT");
    MHD_get_connection_values_n(c, MHD_GET_ARGUMENT_KIND, take_argument, &q);
    if (q.status || !(s = open_session(v, &q, &info))) return reply_text(c, q.status, q.err.text);
    if (!strcmp(method, "HEAD")) {
        sora_session_close(&s);
        return reply_text(c, 200, "");
    }
    if (!(j = job_new(v, s, &info, MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd))) {
        sora_session_close(&s);
        return reply_text(c, 500, "out of memory");
    }
    if (!job_begin(v, j)) {
        job_free(j);
        return reply_text(c, 503, "as many videos as allowed are in work; try again later");
    }
    *state = j;
    if (!v->a->quiet)
        complain("serve: %dx%d, %lld frames: %s", info.width, info.height, (long long)info.frames, q.o.prompt);
    return reply_video(c, j);
}

static void completed(void *user, struct MHD_Connection *c, void **state, enum MHD_RequestTerminationCode why)
{
    if (*state) job_end(user, *state);
    *state = NULL;
}

/* ---- The command ---- */

static bool parse_address(const char *text, int port, struct sockaddr_storage *to, bool *loopback)
{
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port) };

    memset(to, 0, sizeof *to);
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        memcpy(to, &v4, sizeof v4);
        *loopback = ntohl(v4.sin_addr.s_addr) >> 24 == 127;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1) return false;
    memcpy(to, &v6, sizeof v6);
    *loopback = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
    return true;
}

static void log_line(void *user, sora_log_level level, const char *line)
{
    const struct args *a = user;

    if (level == SORA_LOG_ERROR || a->verbose) complain("serve: %s", line);
}

/* Until a signal comes. */
static int run(struct server *v, const struct sockaddr_storage *to)
{
    const struct args *a = v->a;
    const bool v6 = to->ss_family == AF_INET6;
    const unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | (v6 ? MHD_USE_IPv6 : 0u);
    struct MHD_Daemon *d;
    pthread_t watcher;
    sigset_t set;
    int sig;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);             /* before there are threads: only sigwait() gets them */
    d = MHD_start_daemon(flags, (uint16_t)a->port, NULL, NULL, answer, v, MHD_OPTION_SOCK_ADDR, to,
                         MHD_OPTION_CONNECTION_LIMIT, (unsigned)a->jobs + 16u, MHD_OPTION_CONNECTION_TIMEOUT, 30u,
                         MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)64 << 10,
                         MHD_OPTION_NOTIFY_COMPLETED, completed, v, MHD_OPTION_END);
    if (!d) {
        complain("serve: cannot listen at %s, port %d; is it in use?", a->listen, a->port);
        return EXIT_FAILED;
    }
    if (pthread_create(&watcher, NULL, watch, v) != 0) {
        MHD_stop_daemon(d);
        return complain("cannot start a thread"), EXIT_FAILED;
    }
    if (!v->loopback)
        complain("serve: warning: other machines can reach %s, and nobody is asked who they are", a->listen);
    complain("serve: http://%s%s%s:%d/v?prompt=TEXT", v6 ? "[" : "", a->listen, v6 ? "]" : "",
             (int)MHD_get_daemon_info(d, MHD_DAEMON_INFO_BIND_PORT)->port);
    sigwait(&set, &sig);
    pthread_mutex_lock(&v->lock);
    v->stopping = true;
    pthread_mutex_unlock(&v->lock);
    MHD_stop_daemon(d);
    pthread_join(watcher, NULL);
    return EXIT_OK;
}

int cmd_serve(struct args *a)
{
    struct server v = { .a = a };
    struct sockaddr_storage to;
    int r;

    if (a->n_rest) {
        complain("serve: what is \"%s\"? prompts come with the address", a->rest[0]);
        return EXIT_USAGE;
    }
    if (!parse_address(a->listen, a->port, &to, &v.loopback)) {
        complain("--listen: found \"%s\", wanted an address in numbers, as 127.0.0.1 or ::1", a->listen);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    a->o.log = log_line;
    a->o.user = a;
    pthread_mutex_init(&v.lock, NULL);
    r = run(&v, &to);
    pthread_mutex_destroy(&v.lock);
    return r;
}
