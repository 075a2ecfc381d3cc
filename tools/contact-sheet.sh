#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# A picture of what the program makes of 24 prompts: contact-sheet.sh OUT.png [FRAME [model options]]
# Frame FRAME of each (default 0), with its prompt under it.  Needs sora and ffmpeg in PATH and a font for drawtext.
set -eu
out=${1:?usage: contact-sheet.sh OUT.png [FRAME [options of sora generate]]}
frame=${2:-0}
shift
[ $# -gt 0 ] && shift
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
i=0
while IFS= read -r prompt; do
    n=$(printf %02d $i)
    printf %s "$prompt" >"$dir/$n.txt"
    sora generate --quiet -p "$prompt" --frames $((frame + 1)) "$@" -o "$dir/v.y4m"
    ffmpeg -nostdin -v error -y -i "$dir/v.y4m" -vf "select=eq(n\,$frame),scale=320:180,pad=320:204,drawtext=textfile=$dir/$n.txt:x=4:y=185:fontsize=13:fontcolor=white" \
        -frames:v 1 "$dir/$n.png"
    i=$((i + 1))
done <<PROMPTS
a red balloon over green hills
a blue boat on the sea at night
calm sea at sunset, slow clouds
an orange hot air balloon over the mountains at dawn
a yellow lantern in the city at night
a purple ball in the desert
foggy hills in the morning
a white sailboat on the ocean by day
a green balloon over a field of flowers at sunset
a pink hot air balloon above sand dunes
city skyline at sunset
a red lantern over the sea at night
snowy mountains under a cloudy sky
a blue ball over a meadow in the mist
a yellow balloon drifting left over the desert at dawn
a red boat sailing right at sunset
a green hot-air balloon over the city
desert at night, an orange lantern
a purple balloon over the ocean at noon
a meadow in the moonlight, a white ball
the sea in the fog, a pink boat
an orange ball rising over the hills, cloudy
mountains at night with a red hot air balloon
a blue paper lantern over rolling hills in the evening
PROMPTS
ffmpeg -nostdin -v error -y -framerate 1 -i "$dir/%02d.png" -vf tile=4x6 -frames:v 1 "$out"
