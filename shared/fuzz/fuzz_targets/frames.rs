//! `cargo +nightly fuzz run frames` in `shared/`: libFuzzer invents bytes that reach code that none before them reached.
#![no_main]

#[path = "../check.rs"]
mod check;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check::check(bytes));
