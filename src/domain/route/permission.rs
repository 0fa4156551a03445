//! Purpose: what a person may do in a repository, as an order.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A level of access; higher ones include lower ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Level {
    /// Nothing beyond what everybody may.
    None,
    /// Read.
    Read,
    /// Manage issues and pull requests.
    Triage,
    /// Push.
    Write,
    /// Manage the repository without sensitive actions.
    Maintain,
    /// Everything.
    Admin,
}

impl Level {
    /// The level of GitHub's `permission`, refined by its `role_name`: `maintain` is reported as `write`, `triage` as
    /// `read`. A role of an organization's own counts as the permission that it is reported with.
    #[must_use]
    pub fn of(permission: &str, role: Option<&str>) -> Self {
        match (permission, role) {
            ("admin", _) => Self::Admin,
            ("write", Some("maintain")) => Self::Maintain,
            ("write", _) => Self::Write,
            ("read", Some("triage")) => Self::Triage,
            ("read", _) => Self::Read,
            _ => Self::None,
        }
    }

    /// The name, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Triage => "triage",
            Self::Write => "write",
            Self::Maintain => "maintain",
            Self::Admin => "admin",
        }
    }
}
