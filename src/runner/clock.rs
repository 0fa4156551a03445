//! Purpose: wall clock and randomness, injectable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The wall clock; durations are measured with `tokio::time::Instant` instead.
#[derive(Debug, Clone, Copy)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Always the same time, for tests and reproducible demonstrations.
    Fixed(jiff::Timestamp),
}

impl Clock {
    /// The present time.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one place where the wall clock enters")]
    pub fn now(&self) -> jiff::Timestamp {
        match self {
            Self::System => jiff::Timestamp::now(),
            Self::Fixed(time) => *time,
        }
    }
}

/// A source of unguessable tokens.
#[derive(Debug, Clone)]
pub enum Random {
    /// The operating system's.
    System,
    /// Counts upwards, for tests.
    Counter(Arc<AtomicU64>),
}

impl Random {
    /// 128 bits as 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn token(&self) -> String {
        let mut bytes = [0_u8; 16];
        match self {
            Self::System => {
                if getrandom::fill(&mut bytes).is_err() {
                    // A kernel without a random source: the hasher's process keys are still unguessable from outside.
                    fill_from_hasher(&mut bytes);
                }
            }
            Self::Counter(counter) => {
                bytes[8..].copy_from_slice(&counter.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            }
        }
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn fill_from_hasher(bytes: &mut [u8; 16]) {
    use std::hash::{BuildHasher as _, RandomState};
    for (part, chunk) in bytes.chunks_mut(8).enumerate() {
        chunk.copy_from_slice(&RandomState::new().hash_one(part).to_be_bytes());
    }
}
