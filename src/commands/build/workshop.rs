//! Purpose: the builder of one build: found, or made and removed again.

use super::plan::Plan;
use crate::commands::run::Run;
use crate::domain::builder::{self, Abilities, Choice};
use crate::runner::{Failure, Kind};
use crate::services::buildkit::{Builder, Logins};

/// A builder that answers.
pub(super) struct Workshop {
    pub(super) builder: Builder,
    pub(super) abilities: Abilities,
}

impl Workshop {
    pub(super) async fn open(plan: &Plan, _run: &Run, _logins: &Logins) -> Result<Self, Failure> {
        let builder = match &plan.choice {
            Choice::Engine => Builder::for_engine(plan.engine()?),
            Choice::At(address) => match &plan.settings.builder_certs {
                Some(folder) => Builder::with_tls(address, folder)?,
                None => Builder::at(address)?,
            },
            Choice::Container(_) => {
                return Err(Failure::input("builder container", "not yet"));
            }
        };
        let abilities = builder.abilities().await?;
        let lacks = abilities.lacks(&plan.settings.needs());
        if matches!(plan.choice, Choice::At(_)) && !lacks.is_empty() {
            let message = format!("{abilities} cannot {}", builder::phrase(&lacks));
            return Err(Failure::new(Kind::Input, "builder-too-old", "Builder cannot do this", message)
                .hint("Update the builder, or set `builder: auto`."));
        }
        Ok(Self { builder, abilities })
    }

    pub(super) async fn close(self, _run: &Run, _result: &Result<(), Failure>) {}
}
