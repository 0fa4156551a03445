//! Landfall carries a commit to a running service. Everything is in the library.

use std::process::ExitCode;

/// musl's own asks the kernel for each buffer anew, which costs more than sending what is in it.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    landfall::commands::main(landfall::runner::Environment::of_process())
}
