//! Purpose: the table has no doubles, and policies name nothing that was not asked for.

use std::collections::BTreeSet;

use super::*;

fn place() -> Place {
    Place {
        partition: "aws".into(),
        region: Some("eu-central-1".into()),
        account: Some("123456789012".into()),
        repositories: vec!["web".into()],
        cluster: Some("prod".into()),
        services: vec!["web".into(), "worker".into()],
        parameters: vec!["/web/db".into()],
        written_parameters: vec!["/web/image".into()],
    }
}

fn uses(commands: &[&str], with: &[&str], registries: &[Registry]) -> Uses {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    Uses { commands: owned(commands), with: owned(with), registries: registries.to_vec(), assumes_role: true }
}

#[test]
fn no_need_stands_twice() {
    let mut aws = BTreeSet::new();
    let mut each = AWS.iter().flat_map(|need| need.commands.iter().map(move |command| (command, need.action, need.on)));
    assert!(each.all(|need| aws.insert(need)), "an action twice on one thing");
    let mut github = BTreeSet::new();
    assert!(GITHUB.iter().all(|need| github.insert((need.command, need.scope))), "a scope twice for one command");
}

#[test]
fn a_policy_names_the_configs_resources() {
    let uses = uses(&["build", "deploy", "config"], &["migrate", "ssm", "ssm_parameters"], &[Registry::Ecr]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&policy(&uses, &place())).unwrap());
    insta::assert_snapshot!(permissions_block(&uses));
}

#[test]
fn what_is_not_used_is_not_allowed() {
    let actions = |uses: &Uses| uses.aws().map(|need| need.action).collect::<BTreeSet<_>>();
    let plain = actions(&uses(&["deploy"], &[], &[]));
    assert!(!plain.contains("ecs:RunTask") && !plain.contains("ecr:BatchGetImage"), "{plain:?}");
    assert!(!plain.contains("ecs:ListClusters"), "other clusters are nobody's business without `keep_revisions`");
    assert!(actions(&uses(&["deploy"], &["migrate"], &[])).contains("ecs:RunTask"));
    assert!(uses(&["tags"], &[], &[Registry::Ecr]).aws().next().is_none());
}

#[test]
fn trust_is_for_the_environments_branches_only() {
    let trust = |branches: &[&str]| Trust {
        provider: "token.actions.githubusercontent.com".into(),
        repository: "acme/app".into(),
        branches: branches.iter().map(|branch| (*branch).to_owned()).collect(),
    };
    let plain = trust_policy(&trust(&["main"]), &place());
    assert!(plain["Statement"][0]["Condition"].get("StringLike").is_none(), "{plain}");
    let like = trust_policy(&trust(&["release/**", "refs/tags/v*"]), &place());
    insta::assert_snapshot!(serde_json::to_string_pretty(&like).unwrap());
}
