//! What a tag's value can be: text, a condition, or a closed tag.

/// What a tag's value can be.
///
/// - Text: `&str`, and a reference to whatever is `AsRef<str>`, such as `String`, `Cow<str>`, `Arc<str>` or a
///   [`TaskId`](crate::TaskId).
/// - A `bool`.
/// - A closed tag that [`tags!`](crate::tags) declares, and those of this crate, such as [`Outcome`](crate::Outcome).
///   The key may be another than its own.
///
/// Numbers are not accepted: formatting them would slow down every call by name. Write `&shard.to_string()`, or declare
/// them with [`tags!`](crate::tags) if there are few. Of a [`ClosedTag`](crate::ClosedTag) that was written by hand,
/// pass the [`value`](crate::ClosedTag::value).
///
/// ```
/// # let guard = tasktag::Client::builder().agent("udp://127.0.0.1:8125").build()?;
/// # let client = guard.client();
/// use std::borrow::Cow;
/// use tasktag::Outcome;
///
/// let (shard, region) = (3_u16, Cow::from("eu"));
/// let jobs = client.counter("jobs.done").tag("region", &region).tag("retried", false);
/// jobs.tag("shard", &shard.to_string()).tag("outcome", Outcome::Ok).increment(1);
/// // jobs.done:1|c|#outcome:ok,region:eu,retried:false,shard:3,task_id:0042
/// # Ok::<(), tasktag::ConfigError>(())
/// ```
///
/// The compiler can't infer the target of `name.as_ref()`: write `name.as_str()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be the value of a tag",
    label = "neither text, a `bool` nor a closed tag",
    note = "pass a reference to text, `&name` or `&number.to_string()`, or the `value()` of a closed tag"
)]
pub trait TagValue<'a> {
    #[doc(hidden)]
    fn into_text(self) -> &'a str;
}

impl<'a, T: AsRef<str> + ?Sized> TagValue<'a> for &'a T {
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the length of a literal is known where it stands")]
    fn into_text(self) -> &'a str {
        self.as_ref()
    }
}

impl<'a> TagValue<'a> for bool {
    #[inline]
    fn into_text(self) -> &'a str {
        if self { "true" } else { "false" }
    }
}
