//! Purpose: a walk as a person reads it: jobs, steps, what they gave to each other.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use crate::job::{JobEnd, StepEnd};
use crate::support::normalise;
use crate::walk::Walked;

/// Outputs that say the same at more length, or that vary.
const LEFT_OUT: [&str; 24] = [
    "json",
    "labels",
    "metadata",
    "plan",
    "phases",
    "seconds",
    "size",
    "image_id",
    "containers",
    "container_id",
    "health_seconds",
    "expiration",
    "short_sha",
    "slug",
    "image_name",
    "image_tag",
    "report",
    "result",
    "comment_url",
    "masked",
    "deployment_id",
    "version",
    "stages",
    "failed_tasks",
];

static DIGEST: LazyLock<Regex> = LazyLock::new(|| Regex::new("sha256:[0-9a-f]{64}").unwrap());

static VARYING: LazyLock<[(Regex, &str); 2]> = LazyLock::new(|| {
    [(Regex::new(r"\b[0-9a-f]{40}\b").unwrap(), "<commit>"), (Regex::new(r"\b\d+ (ms|s)\b").unwrap(), "<duration>")]
});

impl Walked {
    /// The sequence, what varies replaced by names.
    pub(crate) fn told(&self) -> String {
        let mut out = format!("{}\n", self.title);
        for end in self.jobs.iter().flat_map(|(_, ends)| ends) {
            tell_job(&mut out, end);
        }
        self.named(&out)
    }

    /// A text with names in place of what varies.
    pub(crate) fn named(&self, text: &str) -> String {
        // Digests first: a short name may by chance be part of one.
        let text = DIGEST.replace_all(text, "<digest>").into_owned();
        let text = self.shown.iter().fold(text, |text, (what, name)| text.replace(what, name));
        let text = VARYING.iter().fold(text, |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned());
        normalise::text(&text)
    }
}

fn tell_job(out: &mut String, end: &JobEnd) {
    let _ = writeln!(out, "\n{}: {}", end.title, end.result);
    for step in &end.steps {
        tell_step(out, step);
    }
    for post in end
        .posts
        .iter()
        .filter(|post| post.outcome == "failure" || post.log.lines().any(|line| !line.trim().is_empty()))
    {
        let _ = writeln!(out, "  {} afterwards: {}", mark(post.outcome), post.label);
    }
    for (name, value) in &end.outputs {
        let _ = writeln!(out, "  → {name}: {value}");
    }
    for name in &end.dropped {
        let _ = writeln!(out, "  → {name}: dropped, it holds something masked");
    }
}

fn tell_step(out: &mut String, step: &StepEnd) {
    let code = step.exit_code.filter(|code| *code != 0).map(|code| format!(", exit code {code}")).unwrap_or_default();
    let _ = write!(out, "  {} {}{code}", mark(step.outcome), step.label);
    match &step.stand_in {
        Some(says) if says.is_empty() => out.push_str(" [played]\n"),
        Some(says) => {
            let _ = writeln!(out, " [played: {says}]");
        }
        None => out.push('\n'),
    }
    for (name, value) in
        step.outputs.iter().filter(|(name, value)| !LEFT_OUT.contains(&name.as_str()) && !value.is_empty())
    {
        let lines: Vec<&str> = value.lines().collect();
        let shown = if value.len() > 240 {
            format!("{}…", value.chars().take(120).collect::<String>())
        } else {
            lines.join(" ⏎ ")
        };
        let _ = writeln!(out, "      {name} = {shown}");
    }
    for error in &step.errors {
        let _ = writeln!(out, "      error: {error}");
    }
}

fn mark(outcome: &str) -> &'static str {
    match outcome {
        "success" => "✔",
        "failure" => "✘",
        _ => "-",
    }
}
