//! What GitHub's Marketplace asks of an action (GitHub documentation, "publishing actions in GitHub Marketplace" and
//! "metadata syntax for GitHub Actions").

use super::{files, root, yaml};

/// Colours and a few of the icons (Feather v4.28.0, without brands) that are allowed; extend when another is used.
const COLORS: [&str; 8] = ["white", "black", "yellow", "blue", "green", "orange", "red", "purple"];

#[test]
fn the_root_action_can_be_published() {
    let action = yaml("action.yml");
    let word = |key: &str| action[key].as_str().unwrap_or_default().to_owned();
    assert!(!word("name").is_empty() && word("name").len() < 256, "the name is the action's address");
    assert!((1..=125).contains(&word("description").chars().count()), "the Marketplace cuts descriptions at 125");
    assert!(!word("author").is_empty());
    assert_eq!(action["runs"]["using"], "docker");
    assert!(root().join("README.md").is_file() && root().join("LICENSE-MIT").is_file());
    for other in ["action.yaml", "Action.yml"] {
        assert!(!root().join(other).exists(), "one metadata file in the root, not two");
    }
}

#[test]
fn every_action_has_a_name_a_short_description_and_branding() {
    let mut names = std::collections::BTreeSet::new();
    for path in files("actions", &["action.yml"]).into_iter().chain(["action.yml".to_owned()]) {
        let action = yaml(&path);
        let word = |key: &str| action[key].as_str().unwrap_or_default().to_owned();
        assert!(names.insert(word("name")), "{path}: the name '{}' is taken", word("name"));
        assert!((1..=125).contains(&word("description").chars().count()), "{path}: {}", word("description"));
        let icon = action["branding"]["icon"].as_str().unwrap_or_default();
        let color = action["branding"]["color"].as_str().unwrap_or_default();
        assert!(
            !icon.is_empty() && icon.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
            "{path}"
        );
        assert!(COLORS.contains(&color) || color == "gray-dark", "{path}: the colour {color} is none of GitHub's");
        for (kind, described) in [("inputs", &action["inputs"]), ("outputs", &action["outputs"])] {
            for (name, value) in described.as_object().into_iter().flatten() {
                let text = value["description"].as_str().unwrap_or_default();
                assert!(!text.trim().is_empty(), "{path}: {kind}.{name} is not described");
            }
        }
        let image = action["runs"]["image"].as_str().unwrap_or_default();
        assert!(image.starts_with("docker://") || image == "Dockerfile", "{path}: {image}");
    }
}

#[test]
fn every_command_has_its_action() {
    for command in landfall::commands::all() {
        assert!(root().join(format!("actions/{}/action.yml", command.name)).is_file(), "{}", command.name);
    }
}
