//! Purpose: plans of real shape, and values that must never be shown.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn plan(document: &Value) -> Plan {
    read(document.to_string().as_bytes()).unwrap()
}

fn resource(address: &str, actions: &[&str], change: Value) -> Value {
    let mut change = change;
    change["actions"] = json!(actions);
    json!({ "address": address, "mode": "managed", "change": change })
}

fn none() -> Value {
    json!({ "before": null, "after": null, "before_sensitive": false, "after_sensitive": {} })
}

#[test]
fn counts_are_those_of_terraform() {
    let plan = plan(&json!({
        "format_version": "1.2", "terraform_version": "1.9.8",
        "planned_values": { "root_module": { "resources": [{ "values": { "password": "hunter2" } }] } },
        "resource_changes": [
            resource("a.new", &["create"], none()),
            resource("a.gone", &["delete"], none()),
            resource("a.swap", &["delete", "create"], none()),
            resource("a.swap2", &["create", "delete"], none()),
            resource("a.same", &["no-op"], none()),
            resource("a.edit", &["update"], none()),
            resource("a.left", &["forget"], none()),
            resource("a.odd", &["levitate"], none()),
            { "address": "data.x", "mode": "data", "change": { "actions": ["read"] } },
            { "address": "a.moved", "previous_address": "a.old", "mode": "managed", "change": { "actions": ["no-op"] } },
            { "address": "a.taken", "mode": "managed", "change": { "actions": ["no-op"], "importing": { "id": "i-1" } } },
        ],
        "resource_drift": [resource("a.drifted", &["update"], none()), resource("a.moved", &["no-op"], none())],
        "output_changes": { "url": { "actions": ["create"], "after": "x", "before_sensitive": false, "after_sensitive": false },
                            "same": { "actions": ["no-op"] } },
        "checks": [{ "address": { "to_display": "check.health" }, "status": "fail" }],
        "errored": false,
    }));
    assert_eq!(
        plan.counts.to_string(),
        "3 to add, 2 to change, 3 to destroy (2 replaced), 1 to import, 1 to move, 1 to forget, 1 output changes"
    );
    assert_eq!((plan.counts.replaces, plan.counts.drifted), (2, 1));
    let order: Vec<(&str, Action)> =
        plan.changes.kept.iter().map(|change| (change.address.as_str(), change.action)).collect();
    assert_eq!(order[..3], [("a.gone", Action::Delete), ("a.swap", Action::Replace), ("a.swap2", Action::Replace)]);
    assert_eq!(plan.failed_checks.kept, ["check.health"]);
    assert_eq!(plan.outputs.kept[0].attributes.kept[0].after, Shown::Value("\"x\"".into()));
}

#[test]
fn values_are_shown_unless_they_are_sensitive_unknown_or_called_a_secret() {
    let plan = plan(
        &json!({ "format_version": "1.2", "resource_changes": [resource("aws_db.main", &["update"], json!({
            "before": { "class": "small", "same": 1, "key": "old-hidden", "tags": { "a": "x" }, "nested": [{ "pin": "hidden-1" }], "password": "hidden-2",
                        "environment": "[{\"name\":\"DB_PASSWORD\",\"value\":\"hidden-3\"}]", "settings": { "api_key": "hidden-4" } },
            "after": { "class": "large", "same": 1, "key": "new-hidden", "tags": { "a": "y" }, "nested": [{ "pin": "hidden-5" }], "password": "hidden-6",
                       "environment": "[]", "settings": {} },
            "after_unknown": { "arn": true, "tags": {} },
            "before_sensitive": { "key": true, "nested": [{ "pin": true }] },
            "after_sensitive": { "nested": [{}] },
            "replace_paths": [["class"]],
        }))]}),
    );
    let attributes = &plan.changes.kept[0].attributes.kept;
    let said: Vec<String> = attributes
        .iter()
        .map(|attribute| format!("{}: {} → {}", attribute.name, attribute.before, attribute.after))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    arn: (none) → (known after apply)
    class: "small" → "large"
    environment: (sensitive) → "[]"
    key: (sensitive) → (sensitive)
    nested: (sensitive) → (sensitive)
    password: (sensitive) → (sensitive)
    settings: (sensitive) → {}
    tags: {"a":"x"} → {"a":"y"}
    "#);
    assert!(attributes[1].forces_replacement && !attributes[2].forces_replacement);
    assert!(!format!("{plan:?}").contains("hidden-"), "{plan:?}");
}

#[test]
fn a_plan_that_knows_no_sensitivity_shows_no_value() {
    let plan = plan(&json!({ "format_version": "0.1", "resource_changes": [resource("a.b", &["update"],
        json!({ "before": { "x": "hidden-1" }, "after": { "x": "hidden-2" } }))],
        "output_changes": { "o": { "actions": ["update"], "before": "hidden-3", "after": "hidden-4" } } }));
    assert!(!format!("{plan:?}").contains("hidden-"));
    assert_eq!(plan.changes.kept[0].attributes.kept[0].after, Shown::Hidden);
}

#[test]
fn what_is_no_plan_is_refused() {
    let said = |text: &str| {
        let error = read(text.as_bytes()).unwrap_err();
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    };
    assert!(said(r#"{"format_version":"1.0","values":{}}"#).contains("neither changes nor planned values"));
    assert!(said(r#"{"format_version":"2.0","planned_values":{}}"#).contains("'2.0'"));
    assert!(said("Plan: 1 to add").contains("terraform show -json"));
    assert!(said(r#"{"format_version":"1.0","planned_values":{}} x"#).contains("trailing"));
    assert!(said(&format!(r#"{{"format_version":"1.0","resource_changes":{}"#, "[".repeat(10_000))).contains("is not"));
    assert!(read(&br#"{"format_version":"1.0","planned_values":{}}"#[..]).unwrap().counts.is_empty());
}

proptest! {
    /// Whatever is marked as sensitive, at any depth, is never in what is kept.
    #[test]
    fn marked_values_never_leak(path in proptest::collection::vec("[a-z]{1,3}", 1..4), whole in any::<bool>(), action in 0_usize..3) {
        let nest = |leaf: Value| path.iter().rev().fold(leaf, |inside, key| json!({ key: inside }));
        let marks = if whole { json!(true) } else { nest(json!(true)) };
        let actions = [&["update"][..], &["create"], &["delete", "create"]][action];
        let document = json!({ "format_version": "1.2", "resource_changes": [resource("a.b", actions, json!({
            "before": nest(json!("HIDDEN-1")), "after": nest(json!("HIDDEN-2")),
            "before_sensitive": marks, "after_sensitive": {} }))]});
        let shown = format!("{:?}", plan(&document));
        prop_assert!(!shown.contains("HIDDEN"), "{}", shown);
    }

    #[test]
    fn any_json_ends(text in "(\\{|\\}|\\[|\\]|\"format_version\"|\"resource_changes\"|:|,|1|\"a\"){0,40}") {
        let _ = read(text.as_bytes());
    }
}
