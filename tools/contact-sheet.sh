#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# What the program makes of prompts, one a line, side by side with the prompts under them.  Needs sora and ffmpeg in PATH and a
# font for drawtext.
#   contact-sheet.sh OUT.png PROMPTS.txt [FRAME [options of sora generate]]     frame FRAME of each (default 0); several, as in
#                                                                               0,16,32, make a row
#   contact-sheet.sh OUT.mp4 PROMPTS.txt FRAMES [options of sora generate]      a film of their first FRAMES frames
set -eu
out=${1:?usage: contact-sheet.sh OUT.png|OUT.mp4 PROMPTS.txt [FRAME [options of sora generate]]}
prompts=${2:?a file of prompts}
frame=${3:-0}
shift 2
[ $# -gt 0 ] && shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0 last=0 some=
case $out in
*.mp4)
    columns=5 width=256 height=144 font=9 last=$((frame - 1)) pick=null
    set_out="-c:v libx264 -preset slow -crf 27 -pix_fmt yuv420p -movflags +faststart" ;;
*)
    for f in $(echo "$frame" | tr , ' '); do
        some="$some+eq(n\,$f)" last=$f count=$((count + 1))
    done
    if [ "$count" = 1 ]; then columns=4; else columns=1; fi
    width=$((320 * count)) height=180 font=12 pick="select=${some#+},scale=320:180,tile=${count}x1"
    set_out="-frames:v 1 -update 1" ;;
esac
inputs= labels= layout= i=0
while IFS= read -r prompt; do
    printf %s "$prompt" | fold -s -w 46 >"$dir/$i.txt"
    sora generate --quiet -p "$prompt" --frames $((last + 1)) "$@" -o "$dir/v.y4m" </dev/null
    ffmpeg -nostdin -v error -y -i "$dir/v.y4m" -vf "$pick,scale=$width:$height,pad=iw:ih+30,drawtext=textfile=$dir/$i.txt:x=4:y=$((height + 3)):fontsize=$font:line_spacing=1:fontcolor=white" \
        -c:v ffv1 "$dir/$i.mkv"
    inputs="$inputs -i $dir/$i.mkv" labels="$labels[$i:v]" layout="$layout|$((i % columns * width))_$((i / columns * (height + 30)))"
    i=$((i + 1))
done <"$prompts"
# shellcheck disable=SC2086
ffmpeg -nostdin -v error -y $inputs -filter_complex "${labels}xstack=inputs=$i:layout=${layout#|}:fill=black" $set_out "$out"
