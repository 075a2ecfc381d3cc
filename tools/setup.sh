# SPDX-License-Identifier: LGPL-2.1-or-later
# Sourced by quickstart and run-tests, in the project's root: what a fresh Debian 12 needs, and the build.

cache=$PWD/.cache
prefix=$cache/prefix

build_packages="build-essential autoconf automake libtool pkg-config python3
    libdnnl-dev libjansson-dev libpng-dev libzimg-dev libsentencepiece-dev libutf8proc-dev libmicrohttpd-dev frei0r-plugins-dev
    libgstreamer1.0-dev libgstreamer-plugins-base1.0-dev"
media_packages="ffmpeg nasm xz-utils libfreetype-dev libfontconfig-dev libfribidi-dev gstreamer1.0-tools
    gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly"
# what tests/gst/checks.py drives
gst_packages="python3-gi gir1.2-gstreamer-1.0 gir1.2-gst-plugins-base-1.0 gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-base-apps
    gstreamer1.0-plugins-bad-apps gstreamer1.0-nice ges1.0-tools frei0r-plugins strace"

say() { printf '%s\n' "== $*" >&2; }

# need_packages NAME...: install those that are missing (root), or say the line that does
need_packages() {
    missing=
    for p in "$@"; do
        dpkg-query -W -f '${Status}\n' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
    done
    [ -z "$missing" ] && return 0
    if [ "$(id -u)" != 0 ]; then
        echo "Some packages are missing.  As root:" >&2
        echo "    apt-get update && apt-get install -y --no-install-recommends$missing" >&2
        return 1
    fi
    say "installing$missing"
    mkdir -p "$cache"
    # shellcheck disable=SC2086
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing; } \
        >"$cache/apt.log" 2>&1 || { tail -n 5 "$cache/apt.log" >&2; echo "apt-get failed; see $cache/apt.log" >&2; return 1; }
}

# build FOLDER [configure options]: configure once, then make; the output goes to FOLDER/build.out
build() {
    folder=$1
    shift
    mkdir -p "$folder"
    if [ ! -x configure ] || [ configure.ac -nt configure ]; then
        autoreconf -fi >"$folder/build.out" 2>&1 || { tail -n 5 "$folder/build.out" >&2; return 1; }
    fi
    root=$PWD
    {
        cd "$folder" &&
            { [ -f Makefile ] || "$root/configure" --prefix="$prefix" "$@"; } &&
            make -j"$(nproc)"
    } >"$folder/build.out" 2>&1 || { cd "$root"; grep -m 5 -E 'error|Error' "$folder/build.out" >&2
                                     echo "the build failed; see $folder/build.out" >&2; return 1; }
    cd "$root"
}
