#!/usr/bin/env bash
# statsdproxy 0.4.1, which folds gauges with `aggregate-metrics` as it is by default, before npm's statsd 0.9.0: a level that
# is set to 0 and then to -5, as StatsD's protocol asks for, falls by 5 each time.
#
#   level:0|g
#   level:-5|g     without the relay -5, however often it is sent
#                  through it -5, -10, -15: the relay hands on the second line alone, which is a difference
#
# What to do: `aggregate_gauges: false` in the relay.
#
# Needs bash, cargo, and node with npm. Ends with 0 while this is so, and with 1 when it has changed.
set -euo pipefail

folder="$(mktemp -d)"
processes=()
end() {
    local process
    for process in "${processes[@]}"; do
        kill -KILL "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    rm -rf "$folder"
}
trap end EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "failed: $*" >&2
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

# What statsd answers to a command on its management port.
ask() {
    local line
    exec 3<>"/dev/tcp/127.0.0.1/$management"
    echo "$1" >&3
    while read -r line <&3 && [[ $line != END ]]; do
        echo "$line"
    done
    exec 3>&-
}

# The level of a gauge, or nothing.
level() {
    ask gauges | sed -n "s/.*\\b$1: \\([-0-9.]*\\).*/\\1/p"
}

# Ports that were free a moment ago.
free_ports() {
    node -e '
const net = require("net");
const servers = [1, 2, 3].map(() => net.createServer().listen(0, "127.0.0.1"));
setTimeout(() => { for (const s of servers) { console.log(s.address().port); s.close(); } }, 100);'
}

CARGO_TARGET_DIR="$folder/target" cargo install --quiet --locked --root "$folder" statsdproxy --version 0.4.1
npm install --prefix "$folder" --omit=optional --ignore-scripts --no-audit --no-fund --loglevel=error statsd@0.9.0
{ read -r relay; read -r server; read -r management; } < <(free_ports)

cat >"$folder/statsd.js" <<END
{ address: '127.0.0.1', port: $server, mgmt_address: '127.0.0.1', mgmt_port: $management,
  flushInterval: 3600000, backends: ['./backends/console'] }
END
node "$folder/node_modules/statsd/stats.js" "$folder/statsd.js" >"$folder/statsd.log" 2>&1 &
processes+=("$!")
printf 'middlewares:\n  - type: aggregate-metrics\n' >"$folder/relay.yaml"
"$folder/bin/statsdproxy" --listen "127.0.0.1:$relay" --upstream "127.0.0.1:$server" -c "$folder/relay.yaml" \
    >"$folder/relay.log" 2>&1 &
processes+=("$!")
wait_for grep -q 'server is up' "$folder/statsd.log"

# Until the relay listens and hands on.
through() {
    echo -n 'ready:1|c' >"/dev/udp/127.0.0.1/$relay"
    sleep 0.5
    ask counters | grep -q ready
}
wait_for through 2>/dev/null

falls_to() {
    [[ "$(level folded)" == "$1" ]]
}
for expected in -5 -10 -15; do
    printf 'direct:0|g\ndirect:-5|g' >"/dev/udp/127.0.0.1/$server"
    printf 'folded:0|g\nfolded:-5|g' >"/dev/udp/127.0.0.1/$relay"
    wait_for falls_to "$expected"
    echo "0 and then -5, sent again: $(level direct) without the relay, $(level folded) through it"
    [[ "$(level direct)" == -5 ]] || fail "without the relay it was -5"
done
