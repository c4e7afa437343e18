#!/usr/bin/env bash
# navdoon 0.3.0 forgets each gauge when it flushes, so that a difference which comes after a flush is a level.
#
#   level:100|g    flushed as 100.0
#   level:+5|g     after that flush: flushed as 5.0, where StatsD has 105
#
# A gauge that is not sent again is in no later flush either. What to do: send absolute levels, as often as the server
# flushes.
#
# Needs bash, and a python3 with venv that reaches PyPI. Ends with 0 while this is so, and with 1 when it has changed.
set -euo pipefail

folder="$(mktemp -d)"
server=
end() {
    if [[ -n $server ]]; then
        kill -KILL "$server" 2>/dev/null || true
        wait "$server" 2>/dev/null || true
    fi
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "failed: $*" >&2
    cat "$folder/log" "$folder/flushes" >&2 || true
    exit 1
}

# Waits until a command is true.
wait_for() {
    local tries
    for tries in {1..300}; do
        "$@" && return 0
        sleep 0.1
    done
    fail "never: $*"
}

# The gauge as it was flushed, each time.
levels() {
    sed -n 's/^level \([^ ]*\) .*/\1/p' "$folder/flushes"
}

flushed() {
    [[ $(levels | wc -l) -eq $1 ]]
}

python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
"$python" -m pip install --quiet --no-input --disable-pip-version-check navdoon==0.3.0 statsdmetrics==2.0.2
port="$("$python" -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
"$python" -W ignore -m navdoon.app --flush-interval 0.5 --flush-file "$folder/flushes" --log-stderr \
    "--collect-udp=127.0.0.1:$port" >/dev/null 2>"$folder/log" &
server=$!
wait_for grep -q 'collectors are running' "$folder/log"
echo -n 'level:100|g' >"/dev/udp/127.0.0.1/$port"
wait_for flushed 1
echo -n 'level:+5|g' >"/dev/udp/127.0.0.1/$port"
wait_for flushed 2
echo "navdoon 0.3.0, level:100|g, a flush, level:+5|g: $(levels | paste -sd ' ')"
[[ "$(levels | paste -sd ' ')" == '100.0 5.0' ]] || fail "it was 100.0 and then 5.0"
