//! Purpose: the report as a file: what was found, and what the next collection needs not ask again.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::builds::BuildFigures;
use super::classes::{ImageFigures, Layer};
use super::figures::{Figures, StepFigures};
use super::moment::Moment;
use super::record::Record;
use super::thresholds::Breach;

/// Version of the file's form; a file of another one is not read.
pub const VERSION: u32 = 1;

/// What `landfall metrics` found about a repository's CI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this form.
    pub version: u32,
    /// The repository.
    pub repository: String,
    /// When it was collected.
    pub collected_at: Moment,
    /// The earliest start of a run that was looked for.
    pub since: Moment,
    /// Figures of all runs together.
    pub total: Figures,
    /// Figures by workflow, in order of names.
    pub workflows: Vec<WorkflowFigures>,
    /// How often the same commit was built.
    pub builds: BuildFigures,
    /// How often pulling an image succeeded.
    pub pull: StepFigures,
    /// How often cleaning up succeeded.
    pub cleanup: StepFigures,
    /// Images, by repository.
    pub images: Vec<ImageFigures>,
    /// Thresholds that were exceeded.
    pub breaches: Vec<Breach>,
    /// What was left out, and why.
    pub notes: Vec<String>,
    /// The runs, the oldest first: a later collection reads only what is not here.
    pub runs: Vec<Record>,
    /// Blobs by digest of the manifest: a manifest never changes, and reading it counts as a download.
    pub manifests: BTreeMap<String, Vec<Layer>>,
}

/// Figures of one workflow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkflowFigures {
    /// Its name.
    pub name: String,
    /// Its figures.
    pub figures: Figures,
}

impl Report {
    /// Figures of records, which need no order; nothing is known about images yet.
    #[must_use]
    pub fn of(repository: &str, collected_at: Moment, since: Moment, mut runs: Vec<Record>) -> Self {
        runs.sort_unstable_by_key(|record| (record.started_at, record.id));
        let mut by_workflow: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
        for record in &runs {
            by_workflow.entry(&record.workflow).or_default().push(record);
        }
        let workflow = |(name, records): (&str, Vec<&Record>)| WorkflowFigures {
            name: name.to_owned(),
            figures: Figures::of(records),
        };
        let workflows = by_workflow.into_iter().map(workflow).collect();
        let jobs = || runs.iter().filter_map(|record| record.jobs);
        Self {
            version: VERSION,
            repository: repository.to_owned(),
            collected_at,
            since,
            total: Figures::of(&runs),
            workflows,
            builds: super::builds_per_commit(&runs),
            pull: StepFigures::of(jobs().map(|jobs| jobs.pull)),
            cleanup: StepFigures::of(jobs().map(|jobs| jobs.cleanup)),
            images: Vec::new(),
            breaches: Vec::new(),
            notes: Vec::new(),
            manifests: BTreeMap::new(),
            runs,
        }
    }

    /// Images of a class over all repositories.
    #[must_use]
    pub fn images_of(&self, class: &str) -> Option<u64> {
        (!self.images.is_empty()).then(|| self.images.iter().map(|images| images.count(class)).sum())
    }

    /// Images of all repositories.
    #[must_use]
    pub fn total_images(&self) -> Option<u64> {
        (!self.images.is_empty()).then(|| self.images.iter().map(|images| images.total).sum())
    }

    /// Bytes of all repositories; `None` when nothing was measured.
    #[must_use]
    pub fn storage_bytes(&self) -> Option<u64> {
        let measured = self.images.iter().any(|images| images.total > images.unmeasured);
        measured.then(|| self.images.iter().map(|images| images.bytes).sum())
    }
}
