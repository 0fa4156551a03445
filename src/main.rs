//! Landfall carries a commit to a running service. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    landfall::commands::main(landfall::runner::Environment::of_process())
}
