//! Purpose: what each service receives, and that no value gives orders.

use proptest::prelude::*;

use super::*;

fn notice() -> Notice {
    Notice {
        status: Status::Failure,
        title: "CI failed in acme/app".into(),
        text: "2 of 51 tests failed <!channel> [x](https://evil.example) @everyone".into(),
        url: Some("https://github.com/acme/app/actions/runs/1000".into()),
        fields: vec![
            Field::new("Branch", "feature/<b>|x"),
            Field::new("Commit", "0123456").at("https://github.com/acme/app/commit/0123456"),
        ],
        time: "2026-01-02T03:04:05Z".into(),
    }
}

fn pretty(form: Form) -> String {
    serde_json::to_string_pretty(&notice().body(form)).unwrap()
}

#[test]
fn slack() {
    insta::assert_snapshot!(pretty(Form::Slack));
}

#[test]
fn discord() {
    insta::assert_snapshot!(pretty(Form::Discord));
}

#[test]
fn teams() {
    insta::assert_snapshot!(pretty(Form::Teams));
}

#[test]
fn json() {
    insta::assert_snapshot!(pretty(Form::Json));
}

#[test]
fn hosts_tell_their_form() {
    for (host, form) in [
        ("hooks.slack.com", Some(Form::Slack)),
        ("discord.com", Some(Form::Discord)),
        ("acme.webhook.office.com", Some(Form::Teams)),
        ("prod-1.westeurope.logic.azure.com", Some(Form::Teams)),
        ("notslack.com", None),
    ] {
        assert_eq!(Form::of_host(host), form, "{host}");
    }
}

proptest! {
    /// Limits of the services hold whatever the length, and Slack sees no mention.
    #[test]
    fn bodies_stay_small(text in "(\\PC|<|&|@|`){0,400}", times in 1_usize..30, fields in 0_usize..60) {
        let long = text.repeat(times);
        let field = Field::new(long.clone(), long.clone()).at("https://github.com/x");
        let notice = Notice { title: long.clone(), text: long.clone(), fields: vec![field; fields], ..notice() };
        let slack = notice.body(Form::Slack);
        let blocks = slack["attachments"][0]["blocks"].as_array().unwrap();
        prop_assert!(blocks.len() <= 50);
        for block in blocks {
            prop_assert!(block["text"]["text"].as_str().unwrap_or("").chars().count() <= 3000);
            for field in block["fields"].as_array().into_iter().flatten() {
                prop_assert!(field["text"].as_str().unwrap().chars().count() <= 2000);
            }
        }
        prop_assert!(!slack.to_string().contains("<!"));
        let discord = notice.body(Form::Discord);
        let embed = &discord["embeds"][0];
        let length = |value: &Value| value.as_str().unwrap_or("").chars().count();
        let total: usize = embed["fields"].as_array().unwrap().iter().map(|field| length(&field["name"]) + length(&field["value"])).sum();
        prop_assert!(total + length(&embed["title"]) + length(&embed["description"]) <= 6000);
        prop_assert!(notice.body(Form::Teams).to_string().len() <= 28 * 1024);
    }
}
