//! Purpose: going down a ladder, as far as the answers allow.

use std::collections::BTreeMap;

use super::rules::{Condition, Patterns, Requirement, Rule};
use super::text::{Part, Placeholder, Text};
use super::{Answer, Facts, LadderError, Presence, Question, Resolution, Step};
use crate::domain::names::CommitSha;
use crate::domain::reference::ImageRef;
use crate::domain::slug::Slug;

/// Three-valued truth.
enum Truth {
    Yes,
    No,
    Open(Question),
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}

/// A value of a placeholder or text.
enum Value {
    Known(String),
    /// This run has no such value.
    Missing(Placeholder),
    Open(Question),
}

/// A walk down a ladder.
#[derive(Debug, Clone)]
pub struct Walk<'a> {
    rules: &'a [Rule],
    facts: &'a Facts,
    branches: BTreeMap<String, Presence>,
    images: BTreeMap<String, Presence>,
    default_branch: Option<String>,
    companion_pulls: BTreeMap<String, Option<u64>>,
    changed: Option<Vec<String>>,
}

impl<'a> Walk<'a> {
    /// Starts at the first rule.
    #[must_use]
    pub fn new(rules: &'a [Rule], facts: &'a Facts) -> Self {
        Self {
            rules,
            facts,
            branches: BTreeMap::new(),
            images: BTreeMap::new(),
            default_branch: None,
            companion_pulls: BTreeMap::new(),
            changed: None,
        }
    }

    /// Takes an answer in.
    pub fn learn(&mut self, answer: Answer) {
        match answer {
            Answer::Branch(name, presence) => {
                self.branches.insert(name, presence);
            }
            Answer::Image(image, presence) => {
                self.images.insert(image.to_string(), presence);
            }
            Answer::DefaultBranch(name) => self.default_branch = Some(name),
            Answer::CompanionPullRequest(branch, number) => {
                self.companion_pulls.insert(branch, number);
            }
            Answer::ChangedPaths(paths) => self.changed = Some(paths),
        }
    }

    /// Goes on as far as the answers allow.
    ///
    /// # Errors
    /// [`LadderError`] when no rule applies, or the one that does cannot be filled in.
    pub fn step(&self) -> Result<Step, LadderError> {
        for (place, rule) in (1..).zip(self.rules) {
            match self.holds(&rule.condition) {
                Truth::No => {}
                Truth::Open(question) => return Ok(Step::Ask(question)),
                Truth::Yes => return self.outcome(place, rule),
            }
        }
        Err(LadderError::NoRule)
    }

    fn outcome(&self, place: usize, rule: &Rule) -> Result<Step, LadderError> {
        let image = match rule.image.as_ref().map(|text| self.fill(text)) {
            None => None,
            Some(Value::Open(question)) => return Ok(Step::Ask(question)),
            Some(Value::Missing(placeholder)) => {
                return Err(LadderError::Missing { strategy: rule.strategy.clone(), placeholder });
            }
            Some(Value::Known(text)) => Some(self.whole_image(rule, text)?),
        };
        let mut branch = None;
        for candidate in &rule.branch.0 {
            let name = match self.fill(&candidate.name) {
                Value::Known(name) => name,
                Value::Missing(_) => continue,
                Value::Open(question) => return Ok(Step::Ask(question)),
            };
            if candidate.requirement == Requirement::Exists {
                match self.branch_exists(&name) {
                    Truth::Yes => {}
                    Truth::No => continue,
                    Truth::Open(question) => return Ok(Step::Ask(question)),
                }
            }
            branch = Some(name);
            break;
        }
        Ok(Step::Done(Resolution {
            rule: place,
            strategy: rule.strategy.clone(),
            image: image.filter(|image| !image.is_empty()),
            needs_build: rule.needs_build,
            branch: branch.filter(|branch| !branch.is_empty()),
        }))
    }

    /// `:tag` becomes a reference of the ladder's repository; anything else is used as it is.
    fn whole_image(&self, rule: &Rule, text: String) -> Result<String, LadderError> {
        let Some(tag) = text.strip_prefix(':') else {
            return Ok(text);
        };
        let strategy = || rule.strategy.clone();
        let name = self.facts.image.as_ref();
        let name = name.ok_or_else(|| LadderError::NoRepository { strategy: strategy(), tag: text.clone() })?;
        let tag = tag.parse().map_err(|_| LadderError::Tag { strategy: strategy(), tag: text.clone() })?;
        Ok(name.with_tag(tag).to_string())
    }

    fn holds(&self, condition: &Condition) -> Truth {
        let facts = self.facts;
        let mut all = Vec::new();
        let name = |patterns: &Option<Patterns>, name: Option<&str>| {
            patterns.as_ref().map(|patterns| Truth::from(name.is_some_and(|name| patterns.match_name(name))))
        };
        let is = |wanted: Option<bool>, fact: bool| wanted.map(|wanted| Truth::from(wanted == fact));
        all.extend(name(&condition.event, Some(facts.event.name())));
        all.extend(name(&condition.base, facts.base_ref.as_deref()));
        all.extend(name(&condition.head, facts.head_ref.as_deref()));
        all.extend(is(condition.pull_request, facts.pull_request.is_some()));
        all.extend(is(condition.overridden, facts.image_override.is_some()));
        all.extend(is(condition.forced, facts.forced));
        all.extend(condition.not.as_ref().map(|inner| negated(self.holds(inner))));
        all.extend(condition.all.iter().map(|inner| self.holds(inner)));
        if !condition.any.is_empty() {
            let inner = condition.any.iter().map(|inner| negated(self.holds(inner)));
            all.push(negated(conjunction(inner)));
        }
        let named = |wanted: Option<bool>, name: Option<&str>| wanted.map(|wanted| self.is_branch(wanted, name));
        all.extend(named(condition.head_exists, facts.head_ref.as_deref()));
        all.extend(named(condition.base_exists, facts.base_ref.as_deref()));
        all.extend(condition.branch_exists.as_ref().map(|text| match self.fill(text) {
            Value::Known(name) => self.branch_exists(&name),
            Value::Missing(_) => Truth::No,
            Value::Open(question) => Truth::Open(question),
        }));
        all.extend(condition.image_exists.as_ref().map(|text| self.image_exists(text)));
        all.extend(condition.changed.as_ref().map(|patterns| match &self.changed {
            Some(paths) => paths.iter().any(|path| patterns.match_path(path)).into(),
            None if facts.pull_request.is_none() => Truth::No,
            None => Truth::Open(Question::ChangedPaths),
        }));
        conjunction(all)
    }

    fn is_branch(&self, wanted: bool, name: Option<&str>) -> Truth {
        let exists = name.map_or(Truth::No, |name| self.branch_exists(name));
        if wanted { exists } else { negated(exists) }
    }

    fn branch_exists(&self, name: &str) -> Truth {
        match self.branches.get(name) {
            Some(presence) => (*presence == Presence::Present).into(),
            None if self.facts.companion == Presence::Absent => Truth::No,
            None => Truth::Open(Question::Branch(name.to_owned())),
        }
    }

    /// A text that is no reference names no image, so that nobody need be asked.
    fn image_exists(&self, text: &Text) -> Truth {
        let text = match self.fill(text) {
            Value::Known(text) => text,
            Value::Missing(_) => return Truth::No,
            Value::Open(question) => return Truth::Open(question),
        };
        let image: Option<ImageRef> = match text.strip_prefix(':') {
            Some(tag) => self.facts.image.as_ref().zip(tag.parse().ok()).map(|(name, tag)| name.with_tag(tag)),
            None => text.parse().ok(),
        };
        let Some(image) = image else { return Truth::No };
        match self.images.get(&image.to_string()) {
            Some(presence) => (*presence == Presence::Present).into(),
            None => Truth::Open(Question::Image(image)),
        }
    }

    fn fill(&self, text: &Text) -> Value {
        let mut filled = String::new();
        for part in text.parts() {
            match part {
                Part::Literal(text) => filled.push_str(text),
                Part::Value(placeholder) => match self.value(*placeholder) {
                    Value::Known(value) => filled.push_str(&value),
                    other => return other,
                },
            }
        }
        Value::Known(filled)
    }

    fn value(&self, placeholder: Placeholder) -> Value {
        let facts = self.facts;
        let head = facts.head_ref.as_deref();
        let base = facts.base_ref.as_deref();
        let branch = facts.use_branch.as_deref().or(head);
        let slug = |name: Option<&str>| name.and_then(|name| Slug::of(name, &facts.keep).ok()).map(|s| s.to_string());
        let known = match placeholder {
            Placeholder::CommitSha => facts.commit_sha.as_ref().map(CommitSha::to_string),
            Placeholder::Sha7 => facts.commit_sha.as_ref().map(|sha| sha.short().to_owned()),
            Placeholder::MergeSha => facts.merge_sha.as_ref().map(CommitSha::to_string),
            Placeholder::HeadRef => head.map(str::to_owned),
            Placeholder::HeadSlug => slug(head),
            Placeholder::BaseRef => base.map(str::to_owned),
            Placeholder::BaseSlug => slug(base),
            Placeholder::Branch => branch.map(str::to_owned),
            Placeholder::BranchSlug => slug(branch),
            Placeholder::UseBranch => facts.use_branch.clone(),
            Placeholder::PullRequest => facts.pull_request.map(|number| number.to_string()),
            Placeholder::ImageOverride => facts.image_override.clone(),
            Placeholder::DefaultBranch => match &self.default_branch {
                None if facts.companion == Presence::Present => {
                    return Value::Open(Question::DefaultBranch);
                }
                known => known.clone(),
            },
            Placeholder::CompanionPullRequest => {
                match branch.map(|branch| (branch, self.companion_pulls.get(branch))) {
                    Some((branch, None)) if facts.companion == Presence::Present => {
                        return Value::Open(Question::CompanionPullRequest(branch.to_owned()));
                    }
                    Some((_, known)) => known.copied().flatten().map(|number| number.to_string()),
                    None => None,
                }
            }
        };
        known.map_or(Value::Missing(placeholder), Value::Known)
    }
}

fn negated(truth: Truth) -> Truth {
    match truth {
        Truth::Yes => Truth::No,
        Truth::No => Truth::Yes,
        open @ Truth::Open(_) => open,
    }
}

/// Whether all hold: one that does not settles it, whatever is still open; else the first open one is asked.
fn conjunction(all: impl IntoIterator<Item = Truth>) -> Truth {
    let mut open = None;
    for truth in all {
        match truth {
            Truth::Yes => {}
            Truth::No => return Truth::No,
            Truth::Open(question) => open = open.or(Some(question)),
        }
    }
    open.map_or(Truth::Yes, Truth::Open)
}
