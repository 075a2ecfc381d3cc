/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * For the thread sanitizer alone: GLib and GStreamer are not built with it, so that it does not see their locks and
 * counts.  These stand before theirs, tell it what happens before what, and call them.
 */
#define _GNU_SOURCE
#if defined(__SANITIZE_THREAD__)
#include <dlfcn.h>
#include <gst/gst.h>

void __tsan_acquire(void *p);
void __tsan_release(void *p);

#define REAL(name) ((__typeof__(&name))(void *)dlsym(RTLD_NEXT, #name))
#define NEXT(name)                                                                                                \
    static __typeof__(&name) real;                                                                                \
    if (!__atomic_load_n(&real, __ATOMIC_RELAXED)) __atomic_store_n(&real, REAL(name), __ATOMIC_RELAXED)

#define AFTER(name, type)  void name(type *l) { NEXT(name); real(l); __tsan_acquire(l); }
#define BEFORE(name, type) void name(type *l) { NEXT(name); __tsan_release(l); real(l); }
#define COUNTED(name, type) void name(type *p) { NEXT(name); __tsan_release(p); __tsan_acquire(p); real(p); }

#undef g_object_unref
#undef g_object_ref
#undef g_once_init_enter
#undef g_once_init_leave

AFTER(g_mutex_lock, GMutex)
BEFORE(g_mutex_unlock, GMutex)
AFTER(g_rec_mutex_lock, GRecMutex)
BEFORE(g_rec_mutex_unlock, GRecMutex)
COUNTED(g_object_unref, void)
COUNTED(gst_object_unref, void)
COUNTED(gst_mini_object_unref, GstMiniObject)
COUNTED(g_ref_string_release, char)

gboolean g_mutex_trylock(GMutex *l)
{
    NEXT(g_mutex_trylock);
    const gboolean r = real(l);
    if (r) __tsan_acquire(l);
    return r;
}

void g_cond_wait(GCond *c, GMutex *l)
{
    NEXT(g_cond_wait);
    __tsan_release(l);
    real(c, l);
    __tsan_acquire(l);
}

gboolean g_cond_wait_until(GCond *c, GMutex *l, gint64 end)
{
    NEXT(g_cond_wait_until);
    __tsan_release(l);
    const gboolean r = real(c, l, end);
    __tsan_acquire(l);
    return r;
}

/* Between the last count and the free, wherever the other holders were when they let go. */
static __thread GDestroyNotify clear_box;

static void on_last(gpointer p)
{
    __tsan_acquire(p);
    clear_box(p);
}

void g_atomic_rc_box_release_full(gpointer p, GDestroyNotify f)
{
    GDestroyNotify outer = clear_box;       /* clearing one may release another */

    NEXT(g_atomic_rc_box_release_full);
    __tsan_release(p);
    clear_box = f;
    real(p, on_last);
    clear_box = outer;
}

gpointer g_weak_ref_get(GWeakRef *w)
{
    NEXT(g_weak_ref_get);
    gpointer p = real(w);
    if (p) __tsan_acquire(p);
    return p;
}

gboolean g_once_init_enter(volatile void *l)
{
    NEXT(g_once_init_enter);
    const gboolean r = real(l);
    __tsan_acquire((void *)l);
    return r;
}

void g_once_init_leave(volatile void *l, gsize v)
{
    NEXT(g_once_init_leave);
    __tsan_release((void *)l);
    real(l, v);
}
#else
typedef int sora_check_no_tsan;         /* a file has to have something in it */
#endif
