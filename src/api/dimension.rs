//! Tags with a limited number of values: closed tags, whose values are types, and bounded tags, whose number of values
//! has a limit.

pub(crate) mod bounded;
mod candidates;
mod closed;
mod declare;
mod family;
mod frequent;
mod ranking;
mod sampling;
mod shown;
mod slot_table;
pub(crate) mod slots;
mod standard;

pub use self::bounded::{BoundedBuilder, BoundedFamily};
pub use self::closed::{ClosedTag, ClosedTags};
pub use self::family::Family;
pub use self::frequent::{ByName, FrequentBuilder, FrequentFamily};
pub(crate) use self::shown::shown;
pub use self::standard::{HttpMethod, Outcome, StatusClass};

pub use self::closed::check;
pub use self::declare::{snake, snake_len};
