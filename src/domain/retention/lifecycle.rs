//! Purpose: the ECR lifecycle policy that comes nearest to a policy, and what it cannot say.

use serde_json::{Value, json};

use super::age::Age;
use super::policy::{Policy, Rule};

/// The most stars that a pattern of ECR may have (ECR user guide, "lifecycle policy properties").
const MOST_STARS: usize = 4;
/// As many images as no repository has: a rule that keeps so many keeps all.
const ALL: u32 = 9999;

/// A lifecycle policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lifecycle {
    /// The policy's text, as ECR takes it.
    pub text: String,
    /// What the policy asks for and ECR's does not do, in words.
    pub losses: Vec<String>,
}

/// Puts a policy into ECR's words. Every pattern becomes a rule of its own, because a list of patterns means all of
/// them at once there.
#[must_use]
pub fn lifecycle(policy: &Policy) -> Lifecycle {
    let mut rules: Vec<Value> = Vec::new();
    let mut losses: Vec<String> = Vec::new();
    let mut add = |description: String, selection: Value| {
        rules.push(json!({
            "rulePriority": rules.len() + 1,
            "description": description.chars().take(256).collect::<String>(),
            "selection": selection,
            "action": { "type": "expire" },
        }));
    };
    for pattern in &policy.protect {
        match patterns_of(pattern.as_str()) {
            Ok(patterns) => {
                for ecr in patterns {
                    let selection = json!({ "tagStatus": "tagged", "tagPatternList": [ecr],
                        "countType": "imageCountMoreThan", "countNumber": ALL });
                    add(format!("keep {pattern}"), selection);
                }
            }
            Err(why) => losses.push(format!("protect '{pattern}': {why}")),
        }
    }
    for rule in &policy.rules {
        losses.extend(loss_of(rule, policy.min_age));
        for pattern in &rule.matches {
            match patterns_of(pattern.as_str()) {
                Ok(patterns) => {
                    for ecr in patterns {
                        add(format!("expire {pattern}"), selection_of(rule, &ecr, policy.min_age));
                    }
                }
                Err(why) => losses.push(format!("rule '{pattern}': {why}")),
            }
        }
    }
    let untagged = json!({ "tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days",
        "countNumber": days(policy.untagged.max(policy.min_age)) });
    add("expire images without tags".to_owned(), untagged);
    losses.push("what is in use (pull requests, runs, tasks) is not known to ECR".to_owned());
    losses.push(
        "tags are not judged one by one: an image with an expiring and another tag follows the first rule".to_owned(),
    );
    let text = serde_json::to_string(&json!({ "rules": rules })).unwrap_or_default();
    Lifecycle { text, losses }
}

fn selection_of(rule: &Rule, pattern: &str, min_age: Age) -> Value {
    match (rule.keep_for, rule.keep_newest) {
        (None, Some(newest)) => json!({ "tagStatus": "tagged", "tagPatternList": [pattern],
            "countType": "imageCountMoreThan", "countNumber": newest.max(1) }),
        (keep_for, _) => json!({ "tagStatus": "tagged", "tagPatternList": [pattern], "countType": "sinceImagePushed",
            "countUnit": "days", "countNumber": days(keep_for.unwrap_or(min_age).max(min_age)) }),
    }
}

fn loss_of(rule: &Rule, min_age: Age) -> Vec<String> {
    let name = rule.name();
    let mut losses = Vec::new();
    match (rule.keep_for, rule.keep_newest) {
        (Some(_), Some(newest)) => {
            losses.push(format!(
                "rule '{name}': ECR cannot keep the newest {newest} of what is too old; only the age holds"
            ));
        }
        (None, Some(_)) => losses.push(format!("rule '{name}': min_age ({min_age}) does not hold, only the count")),
        _ => {}
    }
    let limit = rule.keep_for.unwrap_or(min_age).max(min_age);
    if limit.as_seconds() % 86_400 != 0 {
        losses.push(format!("rule '{name}': ECR counts whole days, so {limit} become {} d", days(limit)));
    }
    losses
}

/// Whole days, the next above: nothing goes earlier than asked.
fn days(age: Age) -> i64 {
    (age.as_seconds() + 86_399).div_euclid(86_400).max(1)
}

/// A pattern in ECR's wildcards, which know the star only.
fn patterns_of(pattern: &str) -> Result<Vec<String>, &'static str> {
    match pattern {
        // Anything with a dot: also what is no version, which is kept then.
        "<semver>" => return Ok(vec!["*.*".to_owned()]),
        "<commit>" => return Err("ECR cannot tell hexadecimal digits from other tags"),
        _ => {}
    }
    if pattern.starts_with('/') {
        return Err("ECR has no regular expressions");
    }
    if pattern.contains(['?', '[', '{', '\\']) {
        return Err("ECR's patterns know only '*'");
    }
    if pattern.matches('*').count() > MOST_STARS {
        return Err("ECR's patterns have at most four '*'");
    }
    Ok(vec![pattern.to_owned()])
}

#[cfg(test)]
mod tests {
    use super::super::policy::PolicyBlock;
    use super::*;

    #[test]
    fn the_default_in_ecrs_words() {
        let found = lifecycle(&PolicyBlock::default().policy().unwrap());
        let body: Value = serde_json::from_str(&found.text).unwrap();
        let rules: Vec<String> = body["rules"]
            .as_array()
            .unwrap()
            .iter()
            .map(|rule| {
                format!("{} {} {}", rule["rulePriority"], rule["description"], rule["selection"]["countNumber"])
            })
            .collect();
        insta::assert_snapshot!(format!("{}\n---\n{}", rules.join("\n"), found.losses.join("\n")));
    }
}
