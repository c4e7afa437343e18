//! What the timestamp that a proxy writes into a request means, and how to have it written.
//!
//! `integrations::tower` reports how long a request waited before it reached the service, if a proxy stamps it. Proxies
//! disagree on the moment: some write when the request line was read, some when the header had ended, some when they
//! sent the request on, and some when the connection was accepted. The wait that the layer reports begins there.
//!
//! # Configurations
//!
//! Each sets `X-Request-Start`, and replaces one that the client sent, unless the table says otherwise.
//!
//! | proxy | configuration | the moment | a slow header | a slow body |
//! |---|---|---|---|---|
//! | nginx 1.22 | `proxy_set_header X-Request-Start "t=${msec}";` | the request is sent on: by default after its body | is not in the wait | is not in the wait |
//! | nginx 1.22 | `set $start $msec;` in `server`, and `proxy_set_header X-Request-Start "t=$start";` | the header has ended | is not in the wait | is in the wait, unless `proxy_request_buffering off;` |
//! | Apache 2.4 | `RequestHeader set X-Request-Start "%t"` | the request line was read | is in the wait | is in the wait |
//! | `HAProxy` 2.6 | `http-request set-header X-Request-Start t=%[date(0,us)]` | the header has ended | is not in the wait | is not in the wait, unless `option http-buffer-request` |
//! | Caddy 2.6 | `header_up X-Request-Start "t={time.now.unix_ms}"` | the request is sent on, before its body | is not in the wait | is not in the wait |
//! | Envoy | `t=%START_TIME(%s.%3f)%` | the stream began | – | – |
//! | Traefik | none without a plugin | – | – | – |
//!
//! All but Envoy's row were seen by running these versions, in November 2026. Envoy's is from its documentation.
//!
//! # Traps
//!
//! - **nginx's `$msec` is read when the header is written.** With request buffering, which is the default, that is
//!   after the last byte of the body. Uploads look as if they had not waited.
//! - **If nginx's first upstream fails, the next one gets the old timestamp.** A time-out of 2 s at a broken task is
//!   then 2 s of wait at a healthy one.
//! - **`HAProxy`'s `%[date()]%[date_us()]` joins two numbers without zeros between them.** A tenth of all requests have
//!   a digit or more too few. The layer refuses numbers of 14 and 15 digits as `malformed`. Use `%[date(0,us)]`.
//! - **`HAProxy`'s `%Ts%ms` is when the connection was accepted**, or when the answer before on the same connection
//!   ended. On a connection that is kept alive, the time for which nobody asked for anything is then a wait: 1.5 s
//!   between two requests of a browser are reported as 1.5 s. It looks like a correct timestamp, so the layer can't
//!   tell. Change it, or ignore the header with `HttpLayer::ignore_start`.
//! - **Apache's `%t` has `t=` in it**, and counts a slow client's header. The longest waits are then the slowest
//!   clients'.
//! - **Envoy's plain `%START_TIME%` is a text for people**, and is refused as `malformed`.
//! - **Envoy appends** where the others replace, for example as Contour configures it: the client's own timestamp is
//!   the first of two, and the earlier one counts. Remove the header at the edge.
//! - **A timestamp in whole seconds**, as Caddy's `{time.now.unix}`, counts from the end of its second. Waits of less
//!   than a second are lost.
//!
//! A wait is a difference between two hosts' clocks. Requests that arrive before they were sent count as no wait, up to
//! 1 s. More is refused as `future`: if `http.request.wait.refused` has this reason, look at the clocks.
