#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A film of what the program makes of prompts, one a line, side by side with the prompts under them:
# contact-reel.sh OUT.mp4 PROMPTS.txt [FRAMES [options of sora generate]].  Needs sora and ffmpeg in PATH and a font for drawtext.
set -eu
out=${1:?usage: contact-reel.sh OUT.mp4 PROMPTS.txt [FRAMES [options of sora generate]]}
prompts=${2:?a file of prompts}
frames=${3:-64}
shift 2
[ $# -gt 0 ] && shift
columns=5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
inputs= labels= layout= i=0
while IFS= read -r prompt; do
    printf %s "$prompt" | fold -s -w 46 >"$dir/$i.txt"
    sora generate --quiet -p "$prompt" --frames "$frames" "$@" -o "$dir/v.y4m" </dev/null
    ffmpeg -nostdin -v error -y -i "$dir/v.y4m" -vf "scale=256:144,pad=iw:170,drawtext=textfile=$dir/$i.txt:x=3:y=147:fontsize=9:line_spacing=1:fontcolor=white" \
        -c:v ffv1 "$dir/$i.mkv"
    inputs="$inputs -i $dir/$i.mkv" labels="$labels[$i:v]" layout="$layout|$((i % columns * 256))_$((i / columns * 170))"
    i=$((i + 1))
done <"$prompts"
# shellcheck disable=SC2086
ffmpeg -nostdin -v error -y $inputs -filter_complex "${labels}xstack=inputs=$i:layout=${layout#|}:fill=black" \
    -c:v libx264 -preset slow -crf 27 -pix_fmt yuv420p -movflags +faststart "$out"
