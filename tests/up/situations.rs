//! The table of docs/up.md: what `up` says in every situation, from runs of the real thing.

use std::fmt::Write as _;
use std::path::Path;

use super::{BASE, SERVER, up};
use crate::support::Outcome;

const DOC: &str = "docs/up.md";
const BEGIN: &str = "<!-- situations: written by tests/up -->\n";
const END: &str = "<!-- end of situations -->";

const UNHEALTHY: &str = "
services:
  db:
    image: landfall-test/base:1
    command: sleep 3600
    healthcheck: { test: 'echo no table users; exit 1', interval: 300ms, retries: 2 }
  web:
    image: landfall-test/base:1
    command: sleep 3600
    depends_on: { db: { condition: service_healthy } }
";

/// What a run in that situation says.
struct Situation {
    name: &'static str,
    outcome: Outcome,
}

async fn run(name: &'static str, inputs: &[(&str, &str)]) -> Situation {
    let step = up().await.file("compose.yml", UNHEALTHY).inputs(inputs);
    let outcome = step.run();
    Situation { name, outcome }
}

async fn all() -> Vec<Situation> {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = format!("{}:80", taken.local_addr().unwrap().port());
    let base = ("image", BASE);
    vec![
        run("healthy", &[base, ("command", SERVER), ("ports", "80"), ("health_url", "http://localhost:80/")]).await,
        run(
            "never healthy",
            &[
                base,
                ("command", "sleep 3600"),
                ("health_command", "sh -c 'echo no answer; exit 1'"),
                ("health_timeout", "3s"),
            ],
        )
        .await,
        run("crash at start", &[base, ("command", "sh -c 'echo no configuration >&2; exit 3'")]).await,
        run("out of memory", &[base, ("command", "tail /dev/zero"), ("memory", "16MB")]).await,
        run("missing image", &[("image", "127.0.0.1:1/acme/none:v1")]).await,
        run("port taken", &[base, ("command", SERVER), ("ports", &port)]).await,
        run("command not in the image", &[base, ("command", "serve")]).await,
        run("dependency unhealthy", &[("compose_file", "compose.yml")]).await,
    ]
}

/// What stands in the table but the time.
fn said(outcome: &Outcome) -> String {
    let said = match outcome.annotations("error").first() {
        Some(error) => format!("{}: {}", error.title, error.message),
        None => outcome.log.lines.iter().rfind(|line| line.contains("is healthy after")).cloned().unwrap_or_default(),
    };
    let port = regex::Regex::new(r"\b(0\.0\.0\.0|::+|\[::\]):\d{2,5}\b").unwrap();
    let id = regex::Regex::new(r"\b[0-9a-f]{12,64}\b|endpoint [a-z_]+").unwrap();
    let said = outcome.normalised(&said).replace('|', "\\|").replace('\n', "<br>");
    id.replace_all(&port.replace_all(&said, "<host>"), "<id>").replace('<', "&lt;").replace("&lt;br>", "<br>")
}

/// The same without what engines of different ages say in different words.
fn common(text: &str) -> String {
    let words = [
        (
            "[a-z: ]*driver failed programming external connectivity.*address already in use",
            "<words>: address already in use",
        ),
        ("failed to create task for container: ", ""),
        (": unknown\\. ", ". "),
    ];
    words.iter().fold(text.to_owned(), |text, (pattern, put)| {
        regex::Regex::new(pattern).unwrap().replace_all(&text, *put).into_owned()
    })
}

fn row(situation: &Situation) -> (String, String, f64) {
    let outcome = &situation.outcome;
    let (code, reason) = (outcome.code.unwrap(), outcome.output("reason"));
    let key = format!("| {} | {code} | `{reason}` |", situation.name);
    (key, said(outcome), outcome.elapsed.as_secs_f64())
}

/// `LANDFALL_GENERATE=1` writes the table; otherwise all but the seconds is compared.
#[tokio::test]
async fn the_documented_situations_are_what_happens() {
    let situations = all().await;
    let rows: Vec<(String, String, f64)> = situations.iter().map(row).collect();
    for situation in situations {
        // Everything is shown to its end, and removed.
        situation.outcome.proper();
        let post = situation.outcome.post().run();
        assert_eq!(post.code, Some(0), "{}: {}", situation.name, post.raw);
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(DOC);
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the table's beginning");
    let (table, after) = rest.split_once(END).expect("the table's end");
    #[expect(clippy::disallowed_methods, reason = "a test reads its own environment")]
    let rewrite = std::env::var_os("LANDFALL_GENERATE").is_some();
    if rewrite {
        let mut table = String::from(
            "\n| Situation | Exit code | `reason` | Seconds | What is shown |\n| --- | --- | --- | --- | --- |\n",
        );
        for (key, said, seconds) in &rows {
            let _ = writeln!(table, "{key} {seconds:.1} | {said} |");
        }
        std::fs::write(&path, format!("{before}{BEGIN}{table}\n{END}{after}")).unwrap();
        return;
    }
    for (key, said, _) in &rows {
        let said = common(said);
        let found = table.lines().any(|line| line.starts_with(key.as_str()) && common(line).contains(&said));
        assert!(found, "docs/up.md says otherwise than\n{key} … | {said} |\n(LANDFALL_GENERATE=1 rewrites it)");
    }
}
