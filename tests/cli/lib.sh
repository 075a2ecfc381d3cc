# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by the tests of the sora program: $SORA, a scratch folder as the current one, and checks that count failures.
SORA=${SORA:-$BUILDDIR/tools/sora}
. "$SRCDIR/tests/wait.sh"
T=$(mktemp -d) || exit 1
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$T"' EXIT
cd "$T" || exit 1
bad=0

fail() { echo "FAILED: $*"; bad=1; }

# status WANT COMMAND...: its exit status; standard output in out, errors in err
status() {
    want=$1; shift
    "$@" >out 2>err
    got=$?
    [ $got = "$want" ] || { fail "status $got, wanted $want: $*"; cat err; }
}
# says FILE TEXT: TEXT is a line of FILE
says() { grep -qxF -- "$2" "$1" || { fail "$1 lacks the line: $2"; cat "$1"; }; }
has() { grep -qF -- "$2" "$1" || { fail "$1 lacks: $2"; cat "$1"; }; }
empty() { [ ! -s "$1" ] || { fail "$1 is not empty"; cat "$1"; }; }
finish() { [ $bad = 0 ] && echo "passed"; exit $bad; }
