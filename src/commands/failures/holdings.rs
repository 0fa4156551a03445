//! Purpose: what an error of a repository of images means: that of the service that was asked.

use crate::runner::Failure;
use crate::services::holdings::HoldingsError;

impl From<HoldingsError> for Failure {
    fn from(error: HoldingsError) -> Self {
        match error {
            HoldingsError::Github(error) => error.into(),
            HoldingsError::Registry(error) => error.into(),
            HoldingsError::Aws(error) => error.into(),
        }
    }
}
