//! Purpose: the inputs of `resolve`, checked together, with what the event and the config add.

use secrecy::SecretString;

use super::{Inputs, Strategy};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::{Count, Flag};
use crate::domain::event::Event;
use crate::domain::ladder::{Condition, Facts, Ladder, Presence, Rule, built_in};
use crate::domain::names::{BranchName, CommitSha, RepositoryName};
use crate::domain::reference::ImageName;
use crate::runner::{Failure, Problems, nearest};

/// What a resolution needs.
pub(super) struct Settings {
    /// The ladder, in words.
    pub(super) ladder: String,
    pub(super) rules: Vec<Rule>,
    pub(super) facts: Facts,
    pub(super) companion: Option<RepositoryName>,
    pub(super) companion_token: Option<SecretString>,
}

impl Settings {
    /// Checks everything that can be checked, then asks for the pull request when the event does not describe it.
    pub(super) async fn read(inputs: Inputs, run: &Run) -> Result<Self, Failure> {
        let event = run.event()?;
        let mut problems = Problems::default();
        let ladder = ladder(&inputs, run, &mut problems);
        let image = image(&inputs, &ladder, &mut problems);
        let companion = companion(&inputs, &ladder, &mut problems);
        check_available(&inputs, &ladder, &mut problems);
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
        let (name, rules) = match &inputs.ladder {
            Some(name) if !ladder.rules.is_empty() => (format!("the ladder '{name}' of the config"), ladder.rules),
            _ => ("the built-in ladder".to_owned(), built_in()),
        };
        let presence = if companion.is_some() { Presence::Present } else { Presence::Absent };
        let mut settings = Self {
            ladder: name,
            rules,
            facts: Facts { companion: presence, ..facts },
            companion,
            companion_token: inputs.companion_token.map(|token| token.0),
        };
        settings.complete(own, run).await?;
        Ok(settings)
    }

    /// A comment on a pull request, for example, names the pull request and nothing of it.
    async fn complete(&mut self, own: Option<RepositoryName>, run: &Run) -> Result<(), Failure> {
        let facts = &mut self.facts;
        let is_complete = facts.commit_sha.is_some() && facts.head_ref.is_some() && facts.base_ref.is_some();
        let (false, None, Some(number), Some(own)) = (is_complete, &facts.image_override, facts.pull_request, own)
        else {
            return Ok(());
        };
        let github = Clients::new(run).github()?;
        let repository = github.repository(&own).await?;
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

/// Refuses what this version cannot do, before anything is asked.
fn check_available(inputs: &Inputs, ladder: &Ladder, problems: &mut Problems) {
    if inputs.strategy == Some(Strategy::Dispatch) {
        problems.add("strategy", "is 'dispatch', which this version cannot do yet; use auto or always-build");
    }
    for rule in ladder.rules.iter().filter(|rule| asks_for_changes(&rule.condition)) {
        problems.add(
            format!("resolve.ladders.{}", inputs.ladder.as_deref().unwrap_or_default()),
            format!("has the rule '{}' with `changed`, which this version cannot find out yet", rule.strategy),
        );
    }
}

fn asks_for_changes(condition: &Condition) -> bool {
    let inner = condition.not.iter().map(AsRef::as_ref).chain(&condition.all).chain(&condition.any);
    condition.changed.is_some() || inner.into_iter().any(asks_for_changes)
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
    let keep = run.config.tags.keep.as_deref().unwrap_or_default().parse();
    Facts {
        event: event.kind.clone(),
        image,
        companion: Presence::Absent,
        commit_sha: given_sha.or_else(|| event.sha.clone()),
        head_ref: head_ref.or_else(|| event.branch().map(str::to_owned)),
        base_ref: base_ref.or_else(|| event.target_branch().map(str::to_owned)),
        pull_request: inputs.pull_request.map(|Count(number)| number).or(event.pull_request),
        use_branch,
        image_override: inputs.image_override.clone(),
        forced: inputs.force_build == Some(Flag(true)) || inputs.strategy == Some(Strategy::AlwaysBuild),
        keep: problems.check("tags.keep of the config", keep).unwrap_or_default(),
    }
}
