#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# Exit statuses and messages: 0 done, 1 the work failed, 2 the command line is wrong.
. "$SRCDIR/tests/cli/lib.sh"

status 2 "$SORA";                              has err "usage: sora COMMAND"; empty out
status 0 "$SORA" --help;                       has out "usage: sora COMMAND"; empty err
status 0 "$SORA" --version;                    has out "sora 0."
status 2 "$SORA" make;                         says err 'sora: no command "make"; see sora --help'

# every option of the table is in the help
status 0 "$SORA" generate --help;              empty err
for o in prompt prompt-file negative-prompt model size rate frames seed steps guidance shift sampler threads precision vae \
         output progress quiet noise text save-text save-latents save-frames; do
    has out "--$o"
done
awk 'length > 80 { exit 1 }' out || fail "help is wider than 80 columns"

g="$SORA generate -m test"
status 2 $g -p a;                              says err "sora: generate: -o OUT is missing: a file, a folder or -"
status 2 $g -o a.y4m;                          says err "sora: prompt: none is given; say what to show"
status 2 $g -p "" -o a.y4m;                    says err "sora: prompt: it is empty; say what to show"
status 2 $g -p a -o a.y4m b;                   has err 'what is "b"?'
status 2 $g -p a -o a.y4m --stepz 4;           says err "sora: generate: no option --stepz; see sora generate --help"
status 2 $g -p a -o a.y4m -x;                  says err "sora: generate: no option -x; see sora generate --help"
status 2 $g -p a -o a.y4m --steps;             says err "sora: generate: --steps wants a value"
status 2 $g -p a -o a.y4m --steps 0;           says err 'sora: --steps: found "0", wanted a whole number from 1 to 1000'
status 2 $g -p a -o a.y4m -s 10x10;            has err "--size: found \"10x10\", wanted WIDTHxHEIGHT from 16x16"
status 2 $g -p a -o a.y4m --quiet=1;           says err "sora: generate: --quiet=1 takes no value"
status 2 $g -p a -o a.y4m --progress=loud;     says err 'sora: --progress: found "loud", wanted one of bar|plain|json|none'
status 2 $g -p a -o a.y4m -m test/speed=1;     says err 'sora: model test: no knob "speed"'
status 2 $g -p a --prompt-file x -o a.y4m;     says err "sora: prompt and prompt-file are both given; give one of them"
status 2 $g -p "$(printf 'a\377')" -o a.y4m;   says err "sora: prompt: byte 2 (0xff) is not UTF-8; convert the text to UTF-8"
status 2 "$SORA" decode -m test -o a.y4m;      says err "sora: decode: --latents FILE is missing"
status 2 "$SORA" escape a b;                   has err "put the text in quotes"
[ ! -e a.y4m ] || fail "a.y4m is left behind"

status 1 $g -m nosuch -p a -o a.y4m;           has err 'no "nosuch" in'
status 1 $g -m /nonexistent -p a -o a.y4m;     says err "sora: /nonexistent: cannot open the model: No such file or directory"
status 1 $g -p a -o none/a.y4m;                says err "sora: none/a.y4m: cannot write: No such file or directory"
status 1 $g -q -m test/fail=step -p a -o a.y4m; says err "sora: model test: fails in step 2 of 4, as fail=step asks"
status 1 $g -q -m test/nan=1 -p a -o b.y4m;    has err "(NaN)"
[ ! -e a.y4m ] || fail "an empty a.y4m is left behind"

status 0 "$SORA" info test;                    has out "native       320x180"
status 0 "$SORA" info test --json;             has out '"native_size": [320, 180]'
status 0 env SORA_MODEL_PATH="$T" XDG_DATA_HOME="$T" XDG_DATA_DIRS="$T" "$SORA" info

status 0 "$SORA" escape " it's: a [dog], x\\y; "
says out "\\\\ it\\\\\\'s\\\\: a \\[dog\\]\\, x\\\\\\\\y\\;\\\\\\ "
finish
