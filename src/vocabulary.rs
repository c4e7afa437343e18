//! The types and terms that all other modules use.

pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod fnv;
pub(crate) mod identity;
pub(crate) mod kind;
pub(crate) mod member;
pub(crate) mod name;
pub(crate) mod protocol;
mod small_text;
pub(crate) mod tag;
pub(crate) mod tag_value;
pub(crate) mod text;
pub(crate) mod unit;
