//! Purpose: the plan in words, as a dry run prints it.

use std::fmt;

use super::plan::{DefinitionPlan, DefinitionStep, Plan, ServicePlan, ServiceStep, short};

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {} in {}", self.cluster, self.region)?;
        for definition in &self.definitions {
            write!(f, "\n{definition}")?;
        }
        if let Some(migration) = &self.migration {
            let words: Vec<String> = migration.command.iter().map(|word| format!("{word:?}")).collect();
            let definition = self.definitions[migration.definition].shown();
            write!(f, "\nrun in container {} of {definition}: {}", migration.container, words.join(" "))?;
        }
        for service in &self.services {
            write!(f, "\n{}", self.service_line(service))?;
        }
        self.after.iter().try_for_each(|line| write!(f, "\n{line}"))
    }
}

impl Plan {
    fn service_line(&self, service: &ServicePlan) -> String {
        let (name, current) = (&service.name, short(&service.current));
        let wanted = self.definitions[service.definition].shown();
        let desired = self.settings.desired.filter(|desired| *desired != service.found.desired);
        let count = desired.map(|desired| format!(", {} → {desired} tasks", service.found.desired)).unwrap_or_default();
        match &service.step {
            ServiceStep::Update { force } => {
                let forced = if *force { ", forced" } else { "" };
                format!("update service {name}: {current} → {wanted}{count}{forced}")
            }
            ServiceStep::Scale => format!("update service {name}: stays at {current}{count}"),
            ServiceStep::Attach { .. } => {
                format!("service {name}: {current} is being deployed already; follow that")
            }
            ServiceStep::Nothing => {
                format!("service {name}: {current} runs already; nothing to do")
            }
        }
    }
}

impl DefinitionPlan {
    /// `family:revision` when it exists, else what it is going to be.
    pub(crate) fn shown(&self) -> String {
        match &self.step {
            DefinitionStep::Register => format!("{}:(new)", self.family),
            DefinitionStep::Reuse(arn) => short(arn.as_str()),
        }
    }
}

impl fmt::Display for DefinitionPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            DefinitionStep::Register => write!(f, "register a revision of {} from {}", self.family, self.origin)?,
            DefinitionStep::Reuse(arn) if short(arn.as_str()) == self.origin => write!(f, "use {}", self.origin)?,
            DefinitionStep::Reuse(arn) => {
                write!(f, "use {}, which is the same as {} gives", short(arn.as_str()), self.origin)?;
            }
        }
        self.changes.iter().try_for_each(|change| write!(f, "\n  {change}"))
    }
}
