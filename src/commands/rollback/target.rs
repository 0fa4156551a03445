//! Purpose: where to go back to: what was typed, and what that means for one service.

use std::str::FromStr;

use crate::domain::names::TaskDefinitionArn;

/// What `to` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum To {
    /// The last other revision whose deployment succeeded.
    Previous,
    /// A revision of the service's family.
    Revision(u32),
    /// `family:revision`.
    Named { family: String, revision: u32 },
    /// An ARN.
    Arn(TaskDefinitionArn),
}

/// A text says no target. The message fits behind "to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is '{0}'; use previous, a revision's number, family:revision or an ARN of a task definition")]
pub(super) struct ToError(String);

impl FromStr for To {
    type Err = ToError;

    fn from_str(text: &str) -> Result<Self, ToError> {
        let wrong = || ToError(text.to_owned());
        let number = |text: &str| text.parse::<u32>().ok().filter(|number| *number > 0 && !text.starts_with('+'));
        if text == "previous" {
            return Ok(Self::Previous);
        }
        if text.starts_with("arn:") {
            return text.parse().map(Self::Arn).map_err(|_| wrong());
        }
        match text.split_once(':') {
            None => number(text).map(Self::Revision).ok_or_else(wrong),
            Some((family, revision)) if !family.is_empty() => {
                number(revision).map(|revision| Self::Named { family: family.to_owned(), revision }).ok_or_else(wrong)
            }
            Some(_) => Err(wrong()),
        }
    }
}

impl To {
    /// The name to ask ECS with, for a service of this family; nothing when it has to be found out. The error is the
    /// family that it names instead.
    pub(super) fn name_in(&self, family: &str) -> Result<Option<String>, String> {
        let other = match self {
            Self::Previous => return Ok(None),
            Self::Revision(revision) => return Ok(Some(format!("{family}:{revision}"))),
            Self::Named { family, .. } => family.as_str(),
            Self::Arn(arn) => arn.family(),
        };
        if other != family {
            return Err(other.to_owned());
        }
        Ok(Some(match self {
            Self::Named { family, revision } => format!("{family}:{revision}"),
            Self::Arn(arn) => arn.to_string(),
            Self::Previous | Self::Revision(_) => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:ecs:eu-central-1:123456789012:task-definition/web:7";

    #[test]
    fn what_may_be_typed() {
        assert_eq!("previous".parse(), Ok(To::Previous));
        assert_eq!("7".parse(), Ok(To::Revision(7)));
        assert_eq!("web:7".parse(), Ok(To::Named { family: "web".into(), revision: 7 }));
        assert_eq!(ARN.parse(), Ok(To::Arn(ARN.parse().unwrap())));
        for wrong in ["", "0", "-1", "+7", "web", "web:", ":7", "web:x", "web:0", "arn:aws:ecs:x", "Previous", "7 "] {
            assert!(wrong.parse::<To>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn another_family_is_foreign() {
        let name = |to: &str| to.parse::<To>().unwrap().name_in("web");
        assert_eq!(name("7"), Ok(Some("web:7".into())));
        assert_eq!(name("web:7"), Ok(Some("web:7".into())));
        assert_eq!(name(ARN), Ok(Some(ARN.into())));
        assert_eq!(name("api:7"), Err("api".into()));
        assert_eq!(name(&ARN.replace("web:", "api:")), Err("api".into()));
        assert_eq!(name("previous"), Ok(None));
    }
}
