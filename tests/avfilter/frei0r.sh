#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# The frei0r source in the hosts that are installed: frei0r.sh PREFIX, where PREFIX/lib/frei0r-1/sora.so is.
set -u
prefix=${1:?usage: frei0r.sh PREFIX}
F=ffmpeg P=ffprobe
. "$(dirname "$0")/lib.sh"
export FREI0R_PATH="$prefix/lib/frei0r-1" GST_REGISTRY="$dir/registry"
unset LD_LIBRARY_PATH

# The same prompt in every host; that pictures are the library's, tests/test_frei0r.c knows.
hash_rgba() { "$F" -nostdin -v error "$@" -frames:v 5 -f framemd5 - 2>&1 | grep -v '^#' | sed 's/.*, //'; }
if "$F" -hide_banner -filters 2>/dev/null | grep -q ' frei0r_src '; then
    hash_rgba -f lavfi -i "frei0r_src=size=64x48:framerate=25:filter_name=sora:filter_params=a red balloon|test" >frames
    is "ffmpeg: five frames that differ" 5 "$(sort -u frames | wc -l)"
    is "ffmpeg: trim ends it" 50 "$(lavfi "frei0r_src=size=64x48:framerate=25:filter_name=sora:filter_params=a|test,trim=duration=2" -f framecrc - | lines)"
    is "ffmpeg: other parameters by their place" 1 "$(hash_rgba -f lavfi -i \
        "frei0r_src=size=64x48:framerate=25:filter_name=sora:filter_params=a|test||||9" >seed; cmp -s seed frames; echo $?)"
    hash_rgba -f lavfi -i "frei0r_src=size=640x352:framerate=25:filter_name=sora:filter_params=a|/nonexistent" >error
    is "ffmpeg: an error is one still picture" "5 1" "$(wc -l <error) $(sort -u error | wc -l)"
else
    echo "skip ffmpeg: it has no frei0r_src"
fi

if gst-inspect-1.0 frei0r-src-sora >out 2>/dev/null; then
    has "GStreamer: the element has the parameters" "prompt-file" "$(cat out)"
    gst-launch-1.0 -q frei0r-src-sora prompt="a red balloon" model=test num-buffers=5 ! \
        video/x-raw,format=RGBA,width=64,height=48,framerate=25/1 ! filesink location=gst.rgba 2>log
    hash_rgba -f rawvideo -pixel_format rgba -video_size 64x48 -framerate 25 -i gst.rgba >gst
    is "GStreamer: the frames of ffmpeg" "" "$(diff frames gst | head -n 3)"
else
    echo "skip GStreamer: it has no frei0r plugin"
fi

if command -v melt >/dev/null; then
    melt -silent frei0r.sora prompt="a red balloon" model=test out=9 -profile square_pal_wide -consumer avformat:melt.mkv \
        f=matroska vcodec=ffv1 an=1 real_time=-1 >log 2>&1
    is "MLT: ten frames" 10 "$("$P" -v error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 melt.mkv 2>&1)"
    is "MLT: they differ" 10 "$("$F" -v error -i melt.mkv -f framemd5 - 2>&1 | grep -v '^#' | sed 's/.*, //' | sort -u | wc -l)"
    melt -silent frei0r.sora prompt="another" model=test out=9 -profile square_pal_wide -consumer avformat:other.mkv \
        f=matroska vcodec=ffv1 an=1 real_time=-1 >log 2>&1
    is "MLT: the prompt arrives" 2 "$(for f in melt other; do "$F" -v error -i $f.mkv -frames:v 1 -f md5 -; done | sort -u | wc -l)"
else
    echo "skip MLT: melt is not installed"
fi
