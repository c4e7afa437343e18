//! The C library's resolver, for a test that replaces it and yet needs it.

#![allow(unsafe_code, reason = "std can't replace the resolver")]

/// `getaddrinfo`.
pub(crate) type Resolve = unsafe extern "C" fn(
    *const libc::c_char,
    *const libc::c_char,
    *const libc::addrinfo,
    *mut *mut libc::addrinfo,
) -> libc::c_int;

/// The one that a test's own `getaddrinfo` hides.
pub(crate) fn hidden() -> Resolve {
    // SAFETY: the next one of this name is the C library's, which is of this type.
    unsafe {
        let next = libc::dlsym(libc::RTLD_NEXT, c"getaddrinfo".as_ptr());
        assert!(!next.is_null());
        std::mem::transmute::<*mut libc::c_void, Resolve>(next)
    }
}
