#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A picture of what the program makes of prompts, one a line: contact-sheet.sh OUT.png PROMPTS.txt [FRAME [model options]]
# Frame FRAME of each (default 0), with its prompt under it; several, as in 0,16,32, make a row.  Needs sora and ffmpeg in PATH
# and a font for drawtext.
set -eu
out=${1:?usage: contact-sheet.sh OUT.png PROMPTS.txt [FRAME [options of sora generate]]}
prompts=${2:?a file of prompts}
frame=${3:-0}
shift 2
[ $# -gt 0 ] && shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
count=0 last=0 some=
for f in $(echo "$frame" | tr , ' '); do
    some="$some+eq(n\,$f)" last=$f count=$((count + 1))
done
if [ "$count" = 1 ]; then columns=4; else columns=1; fi
i=0
while IFS= read -r prompt; do
    n=$(printf %02d $i)
    printf %s "$prompt" >"$dir/$n.txt"
    sora generate --quiet -p "$prompt" --frames $((last + 1)) "$@" -o "$dir/v.y4m" </dev/null
    ffmpeg -nostdin -v error -y -i "$dir/v.y4m" -vf "select=${some#+},scale=320:180,tile=${count}x1,pad=iw:204,drawtext=textfile=$dir/$n.txt:x=4:y=185:fontsize=12:fontcolor=white" \
        -frames:v 1 "$dir/$n.png"
    i=$((i + 1))
done <"$prompts"
ffmpeg -nostdin -v error -y -framerate 1 -i "$dir/%02d.png" -vf "tile=${columns}x$(((i + columns - 1) / columns))" -frames:v 1 "$out"
