#!/bin/sh
# sorasrc in pipelines of the system's GStreamer, run by gst-launch-1.0 as a user runs them; files are looked at with
# ffprobe.  Skipped where those programs or elements are missing.
for p in gst-launch-1.0 gst-inspect-1.0 ffprobe timeout; do
    command -v $p >/dev/null || { echo "no $p"; exit 77; }
done
[ -z "${SANITIZE-}" ] || { echo "gst-launch-1.0 is built without the sanitizers"; exit 77; }
build=${BUILDDIR:-.}
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
export GST_PLUGIN_PATH_1_0="$build/.libs" GST_REGISTRY_1_0="$dir/registry" GST_REGISTRY="$dir/registry"
export G_DEBUG=fatal-criticals GST_STATE_IGNORE_ELEMENTS= LC_ALL=C
for e in sorasrc videoconvert x264enc mp4mux checksumsink identity compositor; do
    gst-inspect-1.0 $e >/dev/null 2>&1 || { [ $e = sorasrc ] && exit 1; echo "no element $e"; exit 77; }
done

bad=0
fail() { echo "FAIL: $*"; bad=1; }
T="model=test/step-delay=5/rate=25 seed=1 prompt=cat"
CLIP="sorasrc $T num-frames=50"
SLOW="sorasrc model=test/step-delay=2000/rate=25 seed=1 prompt=cat num-frames=0"
LIVE="sorasrc model=test/step-delay=200/chunk-frames=8/rate=25 seed=1 prompt=cat num-frames=0 is-live=true"
ENC="x264enc tune=zerolatency key-int-max=25 speed-preset=ultrafast"

# run NAME PIPELINE...: ends by itself, in order, and without a word of criticism
run() {
    name=$1; shift
    timeout 60 gst-launch-1.0 -q "$@" >"$dir/log" 2>&1 || { fail "$name: exit status $?"; sed 's/^/    /' "$dir/log"; }
    grep -E 'CRITICAL|WARNING \*\*|GStreamer-' "$dir/log" && fail "$name: criticism"
    return 0
}
# probe FILE ENTRIES: what ffprobe says of the video, comma separated
probe() { ffprobe -v error -select_streams v -count_frames -show_entries "stream=$2" -of csv=p=0 "$1" 2>&1; }
same() { [ "$2" = "$3" ] || fail "$1: $2, not $3"; }

# A file, as in the README: length, size, colours
run mp4 $CLIP ! videoconvert ! $ENC ! mp4mux ! filesink location="$dir/a.mp4"
same mp4 "$(probe "$dir/a.mp4" width,height,pix_fmt,color_space,chroma_location,nb_read_frames)" \
    "320,180,yuv420p,bt709,left,50"
same "mp4 length" "$(ffprobe -v error -show_entries format=duration -of csv=p=0 "$dir/a.mp4")" "2.000000"

# The caps choose size, format and rate; two seconds stay two seconds
run caps $CLIP ! video/x-raw,format=I420,width=322,height=242,framerate=50/1 ! $ENC ! mp4mux ! \
    filesink location="$dir/b.mp4"
same caps "$(probe "$dir/b.mp4" width,height,nb_read_frames)" "322,242,100"
run 10bit $CLIP num-buffers=10 ! video/x-raw,format=I420_10LE ! $ENC ! matroskamux ! filesink location="$dir/c.mkv"
same 10bit "$(probe "$dir/c.mkv" pix_fmt,nb_read_frames)" "yuv420p10le,10"

# The same seed, the same bytes; time and offsets without a gap
sum() { timeout 60 gst-launch-1.0 -q "$@" ! checksumsink hash=md5 2>&1 | md5sum; }
one=$(sum $CLIP)
same determinism "$(sum $CLIP threads=1)" "$one"
[ "$(sum sorasrc $T seed=2 num-frames=50)" != "$one" ] || fail "another seed, the same frames"
run continuity -m $CLIP ! identity check-imperfect-timestamp=true check-imperfect-offset=true ! fakesink
grep -q imperfect "$dir/log" && fail "imperfect stream"

# Preroll, progress and a clock: the pipeline plays, and ends when the clip does
timeout 60 gst-launch-1.0 -m $CLIP ! fakesink sync=true >"$dir/log" 2>&1 || fail "sync: exit status $?"
starts=$(grep -c 'GstProgressType)start' "$dir/log")
ends=$(grep -cE 'GstProgressType\)(complete|canceled|error)' "$dir/log")
same progress "$starts $ends" "2 2"

# Branches, mixers, more than one source in a process
run tee $CLIP ! tee name=t t. ! queue ! $ENC ! mp4mux ! filesink location="$dir/t.mp4" t. ! queue ! fakesink sync=true
same tee "$(probe "$dir/t.mp4" nb_read_frames)" 50
run two $CLIP ! compositor name=c sink_1::alpha=0.5 ! fakesink sorasrc $T seed=2 num-frames=50 ! c.
run eos-after sorasrc $T num-frames=0 ! identity eos-after=20 ! fakesink
run still $CLIP ! video/x-raw,framerate=0/1 ! videoconvert ! fakesink

# What cannot work says so
for bad_one in "sorasrc model=test" "sorasrc model=/nonexistent prompt=x" "sorasrc model=test/fail=step prompt=x" \
               "sorasrc model=test/fail=load prompt=x"; do
    timeout 20 gst-launch-1.0 -q $bad_one ! fakesink >"$dir/log" 2>&1
    status=$?
    [ $status -ne 0 ] && [ $status -ne 124 ] || fail "$bad_one: exit status $status"
    grep -q '^ERROR' "$dir/log" || fail "$bad_one: no message"
done
timeout 20 gst-launch-1.0 -q $CLIP >"$dir/log" 2>&1 && fail "not linked, and no error"

# Ctrl-C: at once, and with -e a live recording is playable; without a frame a warning says what came of it
sigint() {
    delay=$1; shift
    "$@" >"$dir/log" 2>&1 &
    pid=$!
    sleep "$delay"
    before=$(date +%s%N)
    kill -INT $pid
    wait $pid
    status=$?
    took=$((($(date +%s%N) - before) / 1000000))
}
sigint 1.5 gst-launch-1.0 $SLOW ! fakesink
[ $took -lt 1500 ] || fail "Ctrl-C took $took ms"
sigint 1 gst-launch-1.0 sorasrc model=test/step-delay=1500/ignore-cancel=1 prompt=x num-frames=0 ! fakesink
[ $status -lt 100 ] || [ $status -eq 130 ] || fail "an engine that stops late: exit status $status"
sigint 2.5 gst-launch-1.0 -e $LIVE ! videoconvert ! $ENC ! mp4mux ! filesink location="$dir/l.mp4"
same "live Ctrl-C" $status 0
frames=$(probe "$dir/l.mp4" nb_read_frames)
[ "${frames:-0}" -ge 25 ] || fail "live recording of $frames frames"
sigint 1 gst-launch-1.0 -e $SLOW ! $ENC ! mp4mux ! filesink location="$dir/e.mp4"
grep -q 'No frame was generated' "$dir/log" || fail "no warning of an empty file"

# A watchdog and a player's sink see a live source that never falls silent and is never late
if gst-inspect-1.0 watchdog >/dev/null 2>&1; then
    sigint 4 gst-launch-1.0 $LIVE ! watchdog timeout=1000 ! fakesink sync=true
    grep -qi watchdog "$dir/log" && grep -q ERROR "$dir/log" && fail "silent"
fi

# Nothing is left over, whichever way it ends
leaks() {
    name=$1; shift
    n=$(GST_TRACERS=leaks GST_DEBUG=GST_TRACER:7 timeout 60 "$@" 2>&1 | grep -c 'TRACE .*object-alive, ')
    same "leaks: $name" "$n" 0
}
leaks clip gst-launch-1.0 -q $CLIP ! fakesink
leaks converted gst-launch-1.0 -q $CLIP ! video/x-raw,format=BGRx,width=64,height=64 ! fakesink
leaks error gst-launch-1.0 -q sorasrc model=test/fail=step prompt=x ! fakesink
leaks refused gst-launch-1.0 -q sorasrc model=/nonexistent prompt=x ! fakesink
leaks interrupted timeout -s INT 2 gst-launch-1.0 -q $LIVE ! fakesink sync=true

[ $bad = 0 ] && echo "pipelines: in order"
exit $bad
