//! Purpose: what it means that Tailscale gives no key.

use super::{kind_of, reason};
use crate::runner::{Failure, Kind};
use crate::services::tailscale::TailscaleError;
use crate::services::{Classified as _, ErrorClass};

impl From<TailscaleError> for Failure {
    fn from(error: TailscaleError) -> Self {
        let class = error.class();
        let message = error.to_string();
        let failure = match &error {
            TailscaleError::Address(_) => Self::new(Kind::Input, "invalid-input", "Invalid api_url", message)
                .hint("api_url must be like https://api.tailscale.com."),
            TailscaleError::Client(_) if class.is_transient() => away(message, class),
            TailscaleError::Client(_) => {
                Self::new(Kind::Auth, "tailscale-unauthenticated", "OAuth client refused", message)
                    .hint("Check `oauth_client_id` and `oauth_secret`; a client that was revoked is refused as well.")
            }
            TailscaleError::Key { .. } if class.is_transient() => away(message, class),
            TailscaleError::Key { .. } => Self::new(
                if class == ErrorClass::Invalid { Kind::Auth } else { kind_of(class) },
                "tailscale-forbidden",
                "No key for a node",
                message,
            )
            .hint(
                "The OAuth client needs the scope `auth_keys` (write), and must be allowed to give exactly these tags.",
            )
            .hint("The tags must be in the tailnet's policy file, below `tagOwners`."),
        };
        failure.caused_by(error)
    }
}

fn away(message: String, class: ErrorClass) -> Failure {
    Failure::new(kind_of(class), reason!("tailscale", class), "Tailscale unavailable", message)
        .hint("Try again later; https://status.tailscale.com shows the state of Tailscale.")
}
