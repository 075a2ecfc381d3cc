#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Interrupted, closed and full outputs.
. "$SRCDIR/tests/cli/lib.sh"

# SIGINT: 130 within a second, and what was written is whole frames
interrupt() {       # SIGNAL OUT STATUS
    : >err
    "$SORA" generate -m test/step-delay=20/chunk-frames=2 -p a --frames 0 -s 32x16 -o "$2" 2>err &
    pid=$!
    wait_for 20 grep -q "frame [1-9]" err       # a signal that comes before sora listens to it is lost
    kill -"$1" $pid
    wait $pid
    got=$?
    [ $got = "$3" ] || { fail "SIG$1: status $got, wanted $3"; cat err; }
    has err "interrupted after"
}
# a shell without job control starts background jobs with SIGINT ignored; sora blocks and takes it all the same
interrupt INT a.y4m 130
head=$(head -1 a.y4m | wc -c)
[ $((($(wc -c <a.y4m) - head) % (6 + 32 * 16 * 3 / 2))) = 0 ] || fail "a.y4m ends inside a frame"
[ "$(wc -c <a.y4m)" -gt "$head" ] || fail "a.y4m has no frame"
interrupt TERM b.y4m 143
if command -v ffmpeg >/dev/null && command -v ffprobe >/dev/null; then
    interrupt INT c.mp4 130
    n=$(ffprobe -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 c.mp4)
    [ "${n:-0}" -gt 0 ] || fail "c.mp4 is not playable"
fi

# before the first frame: nothing is left behind
: >err
"$SORA" generate -m test/load-delay=20000 -p a -o d.y4m 2>err &
pid=$!
wait_for 20 grep -q loading err
kill -INT $pid
wait $pid
got=$?
[ $got = 130 ] || fail "SIGINT while loading: status $got"
[ ! -e d.y4m ] || fail "an empty d.y4m is left behind"

# the reader goes away: quiet, and soon
{ "$SORA" generate -q -m test -p a --frames 0 -o - 2>err; echo $? >status; } | head -c 1000 >/dev/null
got=$(cat status)
[ "$got" = 141 ] || fail "closed pipe: status $got"
empty err

if [ -w /dev/full ]; then
    status 1 "$SORA" generate -q -m test -p a -o /dev/full
    says err "sora: /dev/full: cannot write: No space left on device"
    [ "$(wc -l <err)" = 1 ] || fail "more than one line"
    "$SORA" generate -q -m test -p a -o - >/dev/full 2>err
    [ $? = 1 ] || fail "-o - to a full disk"
    says err "sora: -: cannot write: No space left on device"
    status 1 "$SORA" generate -q -m test -p a --save-frames /dev/full
    has err "/dev/full: cannot write"
fi
finish
