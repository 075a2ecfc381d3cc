#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# tools/soak on a short stream of a small model, and the drawing of what it says.
. "$SRCDIR/tests/cli/lib.sh"
soak=$BUILDDIR/tools/soak

mkdir m
for part in transformer text_encoder; do ln -s "$SRCDIR/tests/ref/clip/$part" m/$part; done
ln -s "$SRCDIR/tests/ref/vae_wan21" m/vae
ln -s "$SRCDIR/tests/ref/text.model" m/spiece.model
echo '{"family": "wan", "preset": "longlive", "width": 32, "height": 32}' >m/sora.json

# sanitizers keep what was freed, so that memory grows
"$soak" -m m --minutes 0.2 --every 2 --threads 1 "a red balloon" "a blue boat" "a hill" >out 2>err ||
    [ -n "${SANITIZE-}" ] || { fail "soak: status $?"; cat err; }
[ "$(wc -l <out)" = 13 ] || fail "$(wc -l <out) lines for 12 seconds"
says out "second,frames,prompt,elapsed_s,memory_bytes,mean,variance,sharpness,colour"
grep -q "^11,192,5," out || fail "the last second is not frame 192 after 5 changes"
has err "soak: 12 s of content in "
has err "MiB after the first round of prompts; 0 s without a picture"
mv out soak.csv
if command -v python3 >/dev/null; then
    status 0 python3 "$SRCDIR/tools/plot-soak.py" soak.csv soak.svg
    [ "$(grep -c '<polyline' soak.svg)" = 5 ] || fail "soak.svg has not 5 lines"
fi
status 0 "$soak" -m m --minutes 1 --wall 0.001 --every 1 a b
[ "$(wc -l <out)" = 2 ] || fail "--wall did not end it after its first second"
status 2 "$soak" --minutes
status 2 "$soak" --minutes 0
status 1 "$soak" -m nosuch
has err nosuch
finish
