#!/usr/bin/env bash
# carbon 1.1.10 drops a tag called `name`, without a word: series that differ in it alone are one, and the last value of a
# second wins.
#
#   level;name=a;shard=1 1    written as the series level;shard=1
#   level;name=b;shard=1 2    written as the series level;shard=1
#
# The name of the series takes the tag's place, because carbon keeps it as a tag of that name. What to do: call the tag
# something else.
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
    cat "$folder/log" >&2 || true
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

python3 -m venv "$folder/venv"
python="$folder/venv/bin/python"
GRAPHITE_NO_PREFIX=True "$python" -m pip install --quiet --no-input --disable-pip-version-check \
    wheel setuptools==66.1.1
GRAPHITE_NO_PREFIX=True "$python" -m pip install --quiet --no-input --disable-pip-version-check --no-build-isolation \
    carbon==1.1.10 whisper==1.1.10 Twisted==22.4.0
port="$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')"
printf '[all]\npattern = .*\nretentions = 1s:1h\n' >"$folder/storage-schemas.conf"
cat >"$folder/carbon.conf" <<END
[cache]
DATABASE = whisper
STORAGE_DIR = $folder
LOCAL_DATA_DIR = $folder/whisper
CONF_DIR = $folder
LOG_DIR = $folder
PID_DIR = $folder
USER =
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = $port
PICKLE_RECEIVER_PORT = 0
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = 0
ENABLE_TAGS = False
CARBON_METRIC_INTERVAL = 0
LOG_UPDATES = True
LOG_CREATES = False
END
PYTHONUNBUFFERED=1 "$python" -W ignore "$folder/venv/bin/carbon-cache.py" "--config=$folder/carbon.conf" --debug start \
    >"$folder/log" 2>&1 &
server=$!
wait_for grep -q "CarbonReceiverFactory starting on $port" "$folder/log"
now="$(date +%s)"
printf '%s\n' "level;name=a;shard=1 1 $now" "level;name=b;shard=1 2 $now" "last 1 $now" >"/dev/tcp/127.0.0.1/$port"
wait_for grep -q 'datapoints for last' "$folder/log"
wait_for grep -q 'datapoints for level' "$folder/log"
written="$(sed -n 's/.*datapoints for \(level[^ ]*\) .*/\1/p' "$folder/log" | sort -u)"
value="$("$python" "$folder/venv/bin/whisper-fetch.py" --from=$((now - 1)) --until="$now" "$folder"/whisper/_tagged/*/*/*.wsp |
    awk '$2 != "None" { print $2 }')"
echo "carbon 1.1.10, level;name=a;shard=1 1 and level;name=b;shard=1 2: $written $value"
[[ $written == 'level;shard=1' && $value == 2.000000 ]] || fail "they were one series, level;shard=1, and its value 2"
