//! Purpose: the inputs of `resolve`, checked together, with what the event and the config add.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;

use super::{Inputs, Strategy};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::{Count, Flag};
use crate::domain::event::{Event, EventKind};
use crate::domain::ladder::{Condition, Facts, Ladder, Presence, Rule, built_in, override_rule};
use crate::domain::names::{BranchName, CommitSha, RepositoryName};
use crate::domain::reference::ImageName;
use crate::runner::{Failure, Problems, nearest};

/// Time for questions alone.
const SHORT: Duration = Duration::from_secs(600);
/// Time for a build elsewhere.
const LONG: Duration = Duration::from_secs(3600);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(50);

/// What a resolution needs.
pub(super) struct Settings {
    /// The ladder, in words.
    pub(super) ladder: String,
    pub(super) rules: Vec<Rule>,
    /// Rules in front that the config did not write.
    pub(super) added: usize,
    pub(super) facts: Facts,
    pub(super) companion: Option<RepositoryName>,
    pub(super) companion_token: Option<SecretString>,
    /// The repository that the workflow runs in.
    pub(super) own: Option<RepositoryName>,
    pub(super) dispatch: Option<Dispatch>,
    /// Time between two looks at a run.
    pub(super) interval: Duration,
    /// Longest duration.
    pub(super) limit: Duration,
}

/// How the companion is asked to build.
pub(super) struct Dispatch {
    pub(super) trigger: Wanted,
    /// With placeholders.
    pub(super) inputs: BTreeMap<String, String>,
}

/// What is to be started.
pub(super) enum Wanted {
    /// A workflow; without a place it runs at the branch that is built from.
    Workflow { file: String, at: Option<String> },
    /// A `repository_dispatch` of this type.
    Event(String),
}

impl Settings {
    /// Checks everything that can be checked, then asks for the pull request when the event does not describe it.
    pub(super) async fn read(inputs: Inputs, run: &Run) -> Result<Self, Failure> {
        let event = run.event()?;
        let mut problems = Problems::default();
        let ladder = ladder(&inputs, run, &mut problems);
        let image = image(&inputs, &ladder, &mut problems);
        let companion = companion(&inputs, &ladder, &mut problems);
        check_ladder(&inputs, &ladder, &mut problems);
        let dispatch = dispatch(&inputs, companion.as_ref(), &mut problems);
        let interval = inputs.poll_interval.map_or(Duration::from_secs(10), |interval| interval.0);
        if interval < SHORTEST_INTERVAL {
            problems.add("poll_interval", "is too short; use at least 50ms");
        }
        let facts = facts(&inputs, run, &event, image, &mut problems);
        let own = own_repository(run);
        if ladder.rules.is_empty() && inputs.image_override.is_none() {
            required(&inputs, &ladder, &mut problems);
            let unasked = facts.pull_request.is_none() || own.is_none();
            if inputs.commit_sha.is_none() && facts.commit_sha.is_none() && unasked {
                problems.add("commit_sha", "is not set, and the event does not name the commit under test");
            }
        }
        problems.into_result()?;
        let written = ladder.rules.len();
        let (name, rules, added) = match &inputs.ladder {
            Some(name) if written > 0 => {
                let rules = whole(ladder.rules);
                let added = rules.len() - written;
                (format!("the ladder '{name}' of the config"), rules, added)
            }
            _ => ("the built-in ladder".to_owned(), built_in(), 0),
        };
        let presence = if companion.is_some() { Presence::Present } else { Presence::Absent };
        let mut settings = Self {
            ladder: name,
            rules,
            added,
            facts: Facts { companion: presence, ..facts },
            companion,
            companion_token: inputs.companion_token.map(|token| token.0),
            interval,
            limit: inputs.timeout.map_or(if dispatch.is_some() { LONG } else { SHORT }, |limit| limit.0),
            dispatch,
            own,
        };
        settings.complete(run).await?;
        Ok(settings)
    }

    /// A comment on a pull request, for example, names the pull request and nothing of it.
    async fn complete(&mut self, run: &Run) -> Result<(), Failure> {
        let facts = &mut self.facts;
        let is_complete = facts.commit_sha.is_some() && facts.head_ref.is_some() && facts.base_ref.is_some();
        let (false, None, Some(number), Some(own)) =
            (is_complete, &facts.image_override, facts.pull_request, &self.own)
        else {
            return Ok(());
        };
        let github = Clients::new(run).github()?;
        let repository = github.repository(own).await?;
        let pull = github.pull_request(&repository, number).await?;
        run.log.info(format!(
            "pull request #{number}: '{}' at {} into '{}'",
            pull.head.branch, pull.head.sha, pull.base.branch
        ));
        facts.commit_sha.get_or_insert(pull.head.sha);
        facts.head_ref.get_or_insert_with(|| pull.head.branch.to_string());
        facts.base_ref.get_or_insert_with(|| pull.base.branch.to_string());
        Ok(())
    }

    /// What is under test, for people.
    pub(super) fn subject(&self) -> Vec<(&'static str, String)> {
        let facts = &self.facts;
        let parts = [
            ("commit", facts.commit_sha.as_ref().map(ToString::to_string)),
            ("branch", facts.head_ref.clone()),
            ("base", facts.base_ref.clone()),
            ("pull request", facts.pull_request.map(|number| number.to_string())),
            ("use_branch", facts.use_branch.clone()),
        ];
        parts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn own_repository(run: &Run) -> Option<RepositoryName> {
    run.github.repository.as_deref()?.parse().ok()
}

/// The ladder of the config; an empty one stands for the built-in ladder.
fn ladder(inputs: &Inputs, run: &Run, problems: &mut Problems) -> Ladder {
    let Some(name) = &inputs.ladder else {
        return Ladder::default();
    };
    let ladders = &run.config.resolve.ladders;
    if let Some(ladder) = ladders.get(name) {
        return ladder.clone();
    }
    let hint = match nearest(name, ladders.keys().map(String::as_str)) {
        Some(near) => format!("; did you mean '{near}'?"),
        None => String::new(),
    };
    problems.add("ladder", format!("is '{name}', which the config does not have below resolve.ladders{hint}"));
    Ladder::default()
}

fn image(inputs: &Inputs, ladder: &Ladder, problems: &mut Problems) -> Option<ImageName> {
    let registry = inputs.registry.as_ref().or(ladder.registry.as_ref())?;
    let repository = inputs.repository.as_ref().or(ladder.repository.as_ref())?;
    let name = format!("{}/{}", registry.trim_end_matches('/'), repository.trim_matches('/'));
    problems.check("registry/repository", name.parse())
}

fn companion(inputs: &Inputs, ladder: &Ladder, problems: &mut Problems) -> Option<RepositoryName> {
    let name = inputs.companion.as_ref().or(ladder.companion.as_ref())?;
    let shown = name.parse::<RepositoryName>().map_err(|error| format!("is not usable: {error}"));
    problems.check("companion", shown)
}

/// The rules of the built-in ladder speak of all three.
fn required(inputs: &Inputs, ladder: &Ladder, problems: &mut Problems) {
    for (input, given) in [
        ("registry", inputs.registry.as_ref().or(ladder.registry.as_ref())),
        ("repository", inputs.repository.as_ref().or(ladder.repository.as_ref())),
        ("companion", inputs.companion.as_ref().or(ladder.companion.as_ref())),
    ] {
        problems.required(input, given);
    }
}

/// A ladder of the config that does not speak of overrides gets the rule for them in front: an image that was given is
/// never passed over.
fn whole(rules: Vec<Rule>) -> Vec<Rule> {
    let speaks = rules.iter().any(|rule| rule.condition.speaks_of(&|condition| condition.overridden.is_some()));
    if speaks { rules } else { std::iter::once(override_rule()).chain(rules).collect() }
}

/// An input that the ladder would pass over in silence is a mistake.
fn check_ladder(inputs: &Inputs, ladder: &Ladder, problems: &mut Problems) {
    let forced = inputs.force_build == Some(Flag(true)) || inputs.strategy == Some(Strategy::AlwaysBuild);
    let speaks = |rule: &Rule| rule.condition.speaks_of(&|condition: &Condition| condition.forced.is_some());
    if forced && !ladder.rules.is_empty() && !ladder.rules.iter().any(speaks) {
        let name = inputs.ladder.as_deref().unwrap_or_default();
        problems.add(
            "force_build",
            format!("is set, but no rule of the ladder '{name}' says what is built then: add one with `if: {{forced: true}}`"),
        );
    }
}

/// How the companion is asked to build; inputs that only the strategy `dispatch` reads are a mistake without it.
fn dispatch(inputs: &Inputs, companion: Option<&RepositoryName>, problems: &mut Problems) -> Option<Dispatch> {
    let values = inputs.dispatch_inputs.0.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if inputs.strategy != Some(Strategy::Dispatch) {
        let given = [
            ("workflow", inputs.workflow.is_some()),
            ("workflow_ref", inputs.workflow_ref.is_some()),
            ("event_type", inputs.event_type.is_some()),
            ("dispatch_inputs", !inputs.dispatch_inputs.0.is_empty()),
        ];
        for (name, _) in given.into_iter().filter(|(_, given)| *given) {
            problems.add(name, "is for `strategy: dispatch` only");
        }
        return None;
    }
    if companion.is_none() && inputs.companion.is_none() {
        problems.add("companion", "is required for `strategy: dispatch`");
    }
    let trigger = match (&inputs.workflow, &inputs.event_type) {
        (Some(workflow), None) => {
            // Both `build.yml` and the path from the repository's root are common.
            let file = workflow.rsplit('/').next().unwrap_or(workflow).to_owned();
            Wanted::Workflow { file, at: inputs.workflow_ref.clone() }
        }
        (None, Some(kind)) => {
            if inputs.workflow_ref.is_some() {
                problems.add("workflow_ref", "does not go with event_type: such runs are at the default branch");
            }
            if kind.len() > 100 {
                problems.add("event_type", "has more than 100 characters");
            }
            Wanted::Event(kind.clone())
        }
        (None, None) => {
            problems.add("workflow", "or event_type is required for `strategy: dispatch`");
            return None;
        }
        (Some(_), Some(_)) => {
            problems.add("workflow", "and event_type exclude each other");
            return None;
        }
    };
    // GitHub's own limits; the event's payload holds our nonce, too.
    let most = if matches!(trigger, Wanted::Event(_)) { 9 } else { 25 };
    if inputs.dispatch_inputs.0.len() > most {
        problems.add("dispatch_inputs", format!("has more than the {most} entries that GitHub takes"));
    }
    Some(Dispatch { trigger, inputs: values })
}

fn facts(inputs: &Inputs, run: &Run, event: &Event, image: Option<ImageName>, problems: &mut Problems) -> Facts {
    let given_sha = inputs.commit_sha.as_ref().and_then(|sha| {
        let sha = sha.parse::<CommitSha>().map_err(|error| format!("is not usable: {error}"));
        problems.check("commit_sha", sha)
    });
    let mut branch = |input: &str, given: &Option<String>| {
        let given = given.as_deref()?;
        let name = given.strip_prefix("refs/heads/").unwrap_or(given);
        let name = name.parse::<BranchName>().map_err(|error| format!("is not usable: {error}"));
        problems.check(input, name).map(|name| name.to_string())
    };
    let (head_ref, base_ref, use_branch) = (
        branch("head_ref", &inputs.head_ref),
        branch("base_ref", &inputs.base_ref),
        branch("use_branch", &inputs.use_branch),
    );
    // In the workflows of a pull request the run's own commit is its merge commit.
    let merges = matches!(event.kind, EventKind::PullRequest);
    let merge_sha = run.github.sha.as_deref().filter(|_| merges).and_then(|sha| sha.parse().ok());
    let keep = run.config.tags.keep.as_deref().unwrap_or_default().parse();
    Facts {
        event: event.kind.clone(),
        image,
        companion: Presence::Absent,
        commit_sha: given_sha.or_else(|| event.sha.clone()),
        merge_sha,
        head_ref: head_ref.or_else(|| event.branch().map(str::to_owned)),
        base_ref: base_ref.or_else(|| event.target_branch().map(str::to_owned)),
        pull_request: inputs.pull_request.map(|Count(number)| number).or(event.pull_request),
        use_branch,
        image_override: inputs.image_override.clone(),
        forced: inputs.force_build == Some(Flag(true)) || inputs.strategy == Some(Strategy::AlwaysBuild),
        keep: problems.check("tags.keep of the config", keep).unwrap_or_default(),
    }
}
