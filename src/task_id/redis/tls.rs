//! What TLS computes with.

use rustls::crypto::{CryptoProvider, ring};

/// Chooses `ring` for the process if nobody chose anything yet.
///
/// A program whose crates bring two providers has to choose one, or its first connection panics. This is the same choice that
/// rustls makes by itself in a program that has `ring` alone.
pub(super) fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else was faster, which is as good.
        let _ = ring::default_provider().install_default();
    }
}
