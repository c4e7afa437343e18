//! Holds what the documentation says of drivers that have pools of their own. All of it is in the tests.
