"""Sends through Datadog's own client what tests/servers/datadog.rs sends through this crate, to the given port."""

import os
import sys

from datadog.dogstatsd.base import DogStatsd

statsd = DogStatsd(
    host="127.0.0.1",
    port=int(sys.argv[1]),
    namespace="shop",
    constant_tags=["region:eu", "task_id:0042"],
    disable_telemetry=True,
    origin_detection_enabled=False,
)
TAGS = ["flag", "path:a/b-c.d_e", "pool:primary db", "straße:größe 5€", "url:http://x:80/y"]

for name, value in [("zero", 0), ("whole", 12), ("fraction", 0.83), ("negative", -12.75), ("large", 9007199254740992)]:
    statsd.gauge("level." + name, value)
statsd.gauge("level.tagged", 1.5, tags=TAGS)
statsd.increment("jobs.done")
statsd.count("jobs.many", 18446744073709551615, tags=TAGS)
for record, name in [(statsd.distribution, "size"), (statsd.histogram, "depth"), (statsd.timing, "query")]:
    record(name, 7)
    record(name, 12.5)
    record(name, 0.001, tags=TAGS)
statsd.distribution("size", -4.5)
for member in ["ada", "größe", "a:b@c#d,e f"]:
    statsd.set("users", member, tags=TAGS)

statsd.event("deploy", "v42 is live")
statsd.event("größe | 2\nlines", "über\n\nalles | t:error", tags=TAGS)
statsd.event("no text", "")
for alert_type in ["info", "success", "warning", "error"]:
    statsd.event(
        "pool exhausted",
        "10 of 10",
        alert_type=alert_type,
        aggregation_key="pool-primary",
        source_type_name="rust",
        date_happened=1700000000,
        priority="low" if alert_type == "info" else "normal",
        tags=["pool:primary"],
        hostname="db-1.example",
    )

for status in range(4):
    statsd.service_check("db.reachable", status)
statsd.service_check(
    "db.reachable",
    2,
    tags=TAGS,
    timestamp=1700000000,
    hostname="db-1.example",
    message="sum: 3\nm: none\nnum:m:m:, größe",
)

# What differs on purpose.
statsd.gauge("differs.point", 1.0)
statsd.gauge("differs.exponent", 0.00001)
statsd.gauge("differs.big", 1e22)
for _ in range(3):
    statsd.distribution("differs.often", 7)
statsd.increment("differs.twice")
statsd.increment("differs.twice")
statsd.event("differs", "1\r\n2")
statsd.service_check("differs", 0, message="a|b\r\nc")

statsd.gauge_with_timestamp("stamped.level", 0.83, 1700000000)
statsd.gauge_with_timestamp("stamped.level", -12.75, 1700000001, tags=TAGS)
statsd.count_with_timestamp("stamped.jobs", 12, 1700000000)

# Where lines come from.
os.environ["DD_EXTERNAL_ENV"] = "it-false,cn-shop,pu-810fe89d-da47-410b-8979-9154a40f8183"
origin = DogStatsd(
    host="127.0.0.1",
    port=int(sys.argv[1]),
    namespace="shop",
    constant_tags=["region:eu", "task_id:0042"],
    disable_telemetry=True,
    container_id="ci-" + "0123456789abcdef" * 4,
    cardinality="low",
)
origin.gauge("origin.level", 0.83)
origin.increment("origin.jobs")
origin.distribution("origin.size", 7)
origin.histogram("origin.depth", 7)
origin.timing("origin.query", 7)
origin.set("origin.users", "ada")
origin.event("deploy", "v42 is live")
origin.service_check("db.reachable", 0)
origin.gauge_with_timestamp("origin.stamped", 0.83, 1700000000)
