#!/bin/sh
# SPDX-License-Identifier: LGPL-2.1-or-later
# sora serve: what arrives, what is refused, limits, clients that leave.
. "$SRCDIR/tests/cli/lib.sh"
"$SORA" serve --help >/dev/null 2>&1 && command -v curl >/dev/null || { echo "no serve, or no curl"; exit 77; }

# begin OPTIONS...: a server at $url; end: stop it, its lines are in log
begin() {
    : >log                          # the line of the server before; the new one empties it only once it runs
    "$SORA" serve --port 0 "$@" 2>log &
    server=$!
    wait_for 10 grep -q '?prompt=TEXT$' log || { fail "no server: $(cat log)"; exit 1; }
    url=$(sed -n 's/^sora: serve: \(http.*\)?prompt=TEXT$/\1/p' log)
}
end() { kill -TERM $server; wait $server; got=$?; [ $got = 0 ] || fail "the server ended with status $got"; }
# reply STATUS TEXT CURL-ARGUMENTS...
reply() {
    want=$1 text=$2; shift 2
    got=$(curl -s -o body -w '%{http_code}' "$@")
    [ "$got" = "$want" ] || fail "status $got, wanted $want: $*"
    has body "$text"
}
jobs_are() {    # jobs_are N: within five seconds as many have ended
    have_ended() { [ "$(grep -c 'frames sent' log)" = "$1" ]; }
    wait_for 5 have_ended "$1" || { fail "$(grep -c 'frames sent' log) jobs have ended, wanted $1"; cat log; }
}

begin -m test/rate=24
case $url in http://127.0.0.1:*/v) ;; *) fail "listens at $url" ;; esac
reply 200 "YUV4MPEG2 W64 H32 F24:1 " "$url?prompt=it%27s%20a%3A+dog&size=64x32&duration=0.2&seed=3"
"$SORA" generate -q -m test/rate=24 -p "it's a: dog" -s 64x32 --frames 5 --seed 3 -o want.y4m
cmp body want.y4m || fail "serve and generate differ"
reply 200 "C444p10" "$url?prompt=a&frames=2&format=yuv444p10"
reply 200 "" -I "$url?prompt=a"
reply 400 "prompt: none is given" "$url"
reply 400 "prompt: it is empty" "$url?prompt="
reply 400 "found a NUL byte" "$url?prompt=a%00b"
reply 400 "UTF-8" "$url?prompt=%ff"
reply 400 "found no value" "$url?prompt"
reply 400 'size: found "5"' "$url?prompt=a&size=5"
reply 400 "as many pixels as 1920x1080" "$url?prompt=a&size=1921x1080"
reply 400 "wanted at most 60 seconds" "$url?prompt=a&frames=1441"
reply 400 "wanted at most 60 seconds" "$url?prompt=a&duration=1000000000000000000000"
reply 400 "(endless)" "$url?prompt=a&frames=0"
reply 400 "at least one frame" "$url?prompt=a&duration=0"
reply 400 "wanted seconds" "$url?prompt=a&duration=nan"
reply 400 "steps: found" "$url?prompt=a&steps=x"
reply 404 "wanted /v" "${url%/v}/etc/passwd"
for option in vae=/etc/passwd prompt-file=/etc/passwd threads=1 save-frames=/tmp/x; do
    reply 400 "no such option" "$url?prompt=a&$option"
done
for model in /etc/passwd ../../x test/rate=1 nosuch; do
    reply 404 "wanted a name" "$url?prompt=a&model=$model"
done
reply 405 "wanted GET" -d x "$url?prompt=a"
reply 403 "of this machine" -H "Host: pages.example" "$url?prompt=a"
reply 403 "of this machine" -H "Sec-Fetch-Site: cross-site" "$url?prompt=a"
got=$(curl -s -o body -w '%{http_code}' "$url?prompt=$(head -c 100000 /dev/zero | tr '\0' a)")
case $got in 4??) ;; *) fail "status $got for an address of 100000 bytes" ;; esac
end

# limits: one at a time, then the next; a client that leaves gives its place back within a second, in the middle of a chunk
begin -m test/step-delay=20000/load-delay=300 --jobs 1 --max-seconds 0
curl -s -o one "$url?prompt=one&frames=0" &
client=$!
wait_for 5 grep -q ': one$' log
reply 503 "as many videos as allowed" "$url?prompt=two"
kill $client
jobs_are 1
curl -s -o three --max-time 1 "$url?prompt=three"
jobs_are 2
curl -s -o four "$url?prompt=four" &
client=$!
wait_for 5 grep -q ': four$' log
end
wait $client
[ $? != 0 ] || fail "a reply that the end of the server cut off looks complete"

# what fails in the middle is no complete reply either
begin -m test/fail=decode/fail-chunk=1
curl -s -o body "$url?prompt=a" && fail "a reply that failed looks complete"
has log "fails to decode"
end

if grep -qs '^0*1 ' /proc/net/if_inet6; then
    begin -m test --listen ::1
    [ "${url#http://\[::1\]:}" != "$url" ] || fail "listens at $url"
    reply 200 YUV4MPEG2 -g "$url?prompt=a&frames=1"
    end
fi
begin -m test
if command -v ffmpeg >/dev/null; then
    n=$(ffmpeg -nostdin -v error -i "$url?prompt=a%20dog&frames=20" -f framecrc - 2>err | grep -vc '^#')
    [ "$n" = 20 ] || { fail "ffmpeg got $n frames, wanted 20"; cat err; }
fi
end
status 2 "$SORA" serve --listen localhost;  has err "an address in numbers"
status 2 "$SORA" serve --port 65536;        has err "from 0 to 65535"
status 2 "$SORA" serve -p x;                has err "no option"
finish
