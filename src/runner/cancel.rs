//! Purpose: SIGINT and SIGTERM as a token that every command can await.
//!
//! As PID 1 of a container a process without handlers ignores both signals; the runner sends SIGINT, 7.5 s later
//! SIGTERM, 2.5 s later it gives up (actions/runner, `DockerCommandManager`).

use tokio::sync::watch;

/// Tells whether, and lets await that, the run was cancelled.
#[derive(Debug, Clone)]
pub struct CancelToken(watch::Receiver<bool>);

impl CancelToken {
    /// A token and the sender that cancels it.
    #[must_use]
    pub fn new() -> (watch::Sender<bool>, Self) {
        let (sender, receiver) = watch::channel(false);
        (sender, Self(receiver))
    }

    /// Whether the run was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when the run is cancelled; never otherwise.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|cancelled| *cancelled).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Installs the signal handlers. Must be called inside the runtime.
///
/// # Errors
/// When the operating system refuses a handler.
pub fn listen_for_signals() -> std::io::Result<CancelToken> {
    use tokio::signal::unix::{SignalKind, signal};
    let (sender, token) = CancelToken::new();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        sender.send_replace(true);
        // Keeps the channel open: a dropped sender would look like a run that can no longer be cancelled.
        sender.closed().await;
    });
    Ok(token)
}
