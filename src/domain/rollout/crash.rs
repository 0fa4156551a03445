//! Purpose: which stopped tasks are ours and failed, and whether they fail in a loop.

use std::collections::BTreeMap;

use super::{Progress, Target, Verdict};
use crate::domain::diagnosis::{Class, Diagnosis, diagnose};
use crate::domain::ecs::Task;

/// The failed tasks of our deployment.
#[derive(Debug, Default)]
pub(super) struct Crashes {
    failed: Vec<(Task, Diagnosis)>,
}

impl Crashes {
    /// Takes in stopped tasks; returns what is new about ours.
    pub(super) fn take(&mut self, tasks: Vec<Task>, target: &Target) -> Vec<Progress> {
        let mut progress = Vec::new();
        for task in tasks {
            if !task.is_explained() || !is_ours(&task, target) {
                continue;
            }
            let diagnosis = diagnose(&task);
            if let Some(known) = self.failed.iter_mut().find(|(known, _)| known.arn == task.arn) {
                *known = (task, diagnosis);
                continue;
            }
            if diagnosis.class == Class::Deliberate {
                continue;
            }
            progress.push(Progress::TaskFailed { task: task.id().to_owned(), diagnosis: diagnosis.clone() });
            self.failed.push((task, diagnosis));
        }
        progress
    }

    /// The loop, if there is one.
    pub(super) fn verdict(&self, limit: usize) -> Option<Verdict> {
        let mut counts: BTreeMap<&str, (usize, &Diagnosis)> = BTreeMap::new();
        for (_, diagnosis) in &self.failed {
            counts.entry(&diagnosis.key).or_insert((0, diagnosis)).0 += 1;
        }
        let (tasks, diagnosis) = counts.into_values().max_by_key(|(tasks, _)| *tasks)?;
        (limit > 0 && tasks >= limit).then(|| Verdict::CrashLoop { diagnosis: diagnosis.clone(), tasks })
    }

    pub(super) fn failed(&self) -> &[(Task, Diagnosis)] {
        &self.failed
    }
}

/// Ours: started by our deployment. When its id is not known, by what it runs and when it was created.
pub(super) fn is_ours(task: &Task, target: &Target) -> bool {
    let since_start = match (task.created_at, target.started_after) {
        (Some(created), Some(start)) => created >= start,
        _ => true,
    };
    match &target.deployment_id {
        Some(id) => task.started_by.as_ref() == Some(id) && since_start,
        None => task.task_definition == target.task_definition && since_start,
    }
}
