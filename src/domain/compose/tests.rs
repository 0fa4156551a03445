//! Purpose: compose files as people have them, and what is said of those that cannot be used.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::domain::container::{HealthTest, Port, Protocol};

fn world(name: &str) -> Option<String> {
    (name == "TAG").then(|| "v7".to_owned())
}

fn project(text: &str) -> Result<Project, String> {
    read(text, &BTreeMap::new(), &world).map_err(|error| error.to_string())
}

#[test]
fn reads_the_subset() {
    let text = r#"
services:
  web:
    image: "acme/web:${TAG}"
    environment: { A: 1, B: "x$$y", C: true }
    env_file: .env
    ports: ["8080:80", 9090]
    command: serve --name "a b"
    entrypoint: ["/entry"]
    depends_on:
      db: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    networks: { front: { aliases: [www] }, default: {} }
  db:
    image: postgres
    environment: ["POSTGRES_PASSWORD=a=b", "TAG"]
    healthcheck: { test: ["CMD", "pg_isready"], interval: 1m30s, retries: 5, start_period: 500ms }
    volumes: ["data:/var/lib/postgresql/data"]
  migrate: { image: acme/web, depends_on: [db] }
volumes: { data: }
networks: { front: }
"#;
    let project = project(text).unwrap();
    let web = &project.services["web"];
    assert_eq!(web.image, "acme/web:v7");
    assert_eq!(web.environment["B"], "x$y");
    assert_eq!(web.command.as_deref().unwrap(), ["serve", "--name", "a b"]);
    assert_eq!(web.depends_on["migrate"], Condition::Completed);
    assert_eq!(web.networks["front"], ["www"]);
    let db = &project.services["db"];
    assert_eq!((db.environment["POSTGRES_PASSWORD"].as_str(), db.environment["TAG"].as_str()), ("a=b", "v7"));
    assert_eq!(db.health.as_ref().unwrap().interval, Some(Duration::from_secs(90)));
    assert!(project.is_to_complete("migrate") && !project.is_to_complete("db"));
}

#[test]
fn what_is_not_in_the_subset_is_named_with_its_line() {
    for (text, expected) in [
        ("services:\n  web:\n    image: a\n    build: .\n", "line 4: services.web: the key 'build' is not supported"),
        ("services:\n  web:\n    image: a\n    deploy: {}\n", "line 4: services.web: the key 'deploy'"),
        ("services: {}\nsecrets: {}\n", "line 2: the key 'secrets' is not supported"),
        (
            "services:\n  web:\n    image: a\n    volumes: ['./src:/src']\n",
            "services.web.volumes: './src:/src' mounts a path",
        ),
        (
            "services:\n  web:\n    image: a\n    volumes: ['data:/src']\n",
            "services.web.volumes: names the volume 'data'",
        ),
        ("services:\n  web: {}\n", "services.web.image: is required"),
        ("services:\n  web: { image: '${NOPE}' }\n", "services.web.image: the variable NOPE is not set"),
        ("services:\n  web: { image: a, depends_on: [db] }\n", "services.web.depends_on names 'db'"),
        (
            "services:\n  web: { image: a, depends_on: { web: { condition: x } } }\n",
            "services.web.depends_on: 'x' is no condition",
        ),
        ("services: [", "line "),
    ] {
        let error = project(text).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_shipped_example_is_within_the_subset() {
    let project = project(include_str!("../../../examples/build-once/test/compose.yml")).unwrap();
    assert_eq!(start_order(&project.services).unwrap(), ["db", "migrate", "app"]);
    assert!(project.is_to_complete("migrate"));
}

#[test]
fn images_can_be_replaced() {
    let images = |name: &str| BTreeMap::from([(name.to_owned(), "acme/web:pr-1".to_owned())]);
    let text = "services:\n  web: { image: acme/web }\n";
    assert_eq!(read(text, &images("web"), &world).unwrap().services["web"].image, "acme/web:pr-1");
    let error = read(text, &images("wep"), &world).unwrap_err().to_string();
    assert_eq!(error, "images: names 'wep', which is no service; there are web");
}

#[test]
fn durations() {
    assert_eq!(duration("1h1m1s1ms"), Some(Duration::from_millis(3_661_001)));
    for wrong in ["", "5", "5d", "s", "-1s", "1s2"] {
        assert_eq!(duration(wrong), None, "{wrong}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_it(text in "[a-z:{}\\[\\]\n \"$-]{0,80}") {
        let _ = project(&text);
        let _ = project(&format!("services:\n  web:\n    image: a\n    {text}"));
        let _ = duration(&text);
    }
}

#[test]
fn anchors_merge_keys_and_extensions_are_read() {
    let text = r#"
x-common: &common
  image: acme/app
  environment: &variables { LEVEL: info, MODE: test }
  healthcheck: &check { test: "true", interval: 1s, retries: 3 }
x-slow: &slow { start_period: 10s, retries: 9 }
services:
  web:
    <<: *common
    x-note: { anything: [at, all] }
    environment:
      <<: *variables
      LEVEL: debug
    healthcheck:
      <<: [*check, *slow]
      interval: 2s
  worker:
    <<: [{ command: work }, *common]
    depends_on:
      <<: { web: { condition: service_healthy } }
"#;
    let project = project(text).unwrap();
    let web = &project.services["web"];
    assert_eq!((web.image.as_str(), web.environment["LEVEL"].as_str()), ("acme/app", "debug"));
    assert_eq!(web.environment["MODE"], "test");
    let health = web.health.as_ref().unwrap();
    assert_eq!(
        (health.interval, health.retries),
        (Some(Duration::from_secs(2)), Some(3)),
        "the first map is the strongest"
    );
    assert_eq!(health.start_period, Some(Duration::from_secs(10)));
    let worker = &project.services["worker"];
    assert_eq!(worker.environment["LEVEL"], "info");
    assert_eq!(worker.command.as_deref().unwrap(), ["work"]);
    assert_eq!(worker.depends_on["web"], Condition::Healthy);
}

#[test]
fn long_forms_say_what_short_ones_say() {
    let text = r#"
services:
  web:
    image: a
    ports:
      - { target: 80, published: "8080", host_ip: 127.0.0.1, protocol: tcp, mode: host, name: web, app_protocol: http }
      - { target: 53, protocol: udp }
      - 9000
    volumes:
      - { type: volume, source: data, target: /data, read_only: true }
      - { type: volume, target: /scratch }
      - /cache
    env_file:
      - base.env
      - { path: local.env, required: false }
    depends_on:
      gone: { condition: service_started, required: false }
      db: { condition: service_healthy, restart: true }
  db: { image: b, env_file: db.env, healthcheck: { test: [NONE], start_interval: 1s } }
volumes: { data: { driver: local } }
networks: { default: { driver: bridge } }
"#;
    let project = project(text).unwrap();
    let web = &project.services["web"];
    let port = |container, protocol| Port { container, protocol, host_ip: None, host: None };
    let published = Port { host_ip: Some("127.0.0.1".into()), host: Some(8080), ..port(80, Protocol::Tcp) };
    assert_eq!(web.ports, [published, port(53, Protocol::Udp), port(9000, Protocol::Tcp)]);
    let volumes: Vec<(&str, &str, bool)> =
        web.volumes.iter().map(|used| (used.name.as_str(), used.target.as_str(), used.read_only)).collect();
    assert_eq!(
        volumes,
        [("data", "/data", true), ("web-anonymous-2", "/scratch", false), ("web-anonymous-3", "/cache", false)]
    );
    assert_eq!(project.volumes, ["data", "web-anonymous-2", "web-anonymous-3"]);
    let files: Vec<(&str, Presence)> = web.env_files.iter().map(|file| (file.path.as_str(), file.presence)).collect();
    assert_eq!(files, [("base.env", Presence::Required), ("local.env", Presence::Optional)]);
    assert_eq!(web.depends_on.keys().collect::<Vec<_>>(), ["db"]);
    assert_eq!(project.services["db"].health.as_ref().unwrap().test, HealthTest::None);
}

#[test]
fn what_cannot_be_used_is_named_with_line_and_remedy() {
    let web = |rest: &str| format!("services:\n  web:\n    image: a\n{rest}");
    for (rest, expected) in [
        ("    build: .\n", "line 4: services.web: the key 'build' is not supported; supported here: image"),
        ("    restart: always\n", "line 4: services.web: the key 'restart'"),
        ("    ports:\n      - { target: 80, publish: 1 }\n", "line 5: services.web.ports[0]: the key 'publish'"),
        ("    ports:\n      - { published: 1 }\n", "line 4: services.web.ports.target: is required"),
        (
            "    volumes:\n      - { type: bind, source: ., target: /a }\n",
            "line 4: services.web.volumes.type: is 'bind'; only",
        ),
        ("    volumes: [{ type: tmpfs, target: /a }]\n", "line 4: services.web.volumes.type: is 'tmpfs'; only"),
        (
            "    environment: 5\n",
            "line 4: services.web.environment: invalid type: integer `5`, expected a list or a map",
        ),
        (
            "    healthcheck:\n      interval: soon\n",
            "line 5: services.web.healthcheck.interval: 'soon' is no duration",
        ),
        ("    <<: *nobody\n", "line 4: "),
        ("    <<: 5\n", "line 4: services.web"),
        ("volumes: { a: { external: true } }\n", "line 4: volumes.a: the key 'external' is not supported"),
        ("volumes:\n  a: { driver: nfs }\n", "line 5: volumes.a.driver: is 'nfs'; only local"),
        ("networks:\n  a:\n    driver: overlay\n", "line 6: networks.a.driver: is 'overlay'; only bridge"),
    ] {
        let error = project(&web(rest)).unwrap_err();
        assert!(error.starts_with(expected), "{error}");
    }
    let error = project(&web("    build: .\n")).unwrap_err();
    assert!(error.ends_with("build the image in an earlier step, and name it in `images`"), "{error}");
    let error = project(&web("    extends: { service: x }\n")).unwrap_err();
    assert!(error.ends_with("Use an anchor and a merge key: `<<: *base`"), "{error}");
}

mod whole {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// A service's values as people write them: short or long, list or map, said here or taken from an anchor.
    fn service() -> impl Strategy<Value = Value> {
        let variables = btree_map("[A-Z]{1,4}", "[a-z0-9 =]{0,6}", 0..4);
        let ports = vec((1..=65_535_u16, proptest::option::of(1..=65_535_u16), any::<bool>()), 0..3);
        let mounts = vec(("[a-z]{1,5}", any::<bool>(), any::<bool>()), 0..3);
        (variables, any::<bool>(), ports, mounts).prop_map(|(variables, as_list, ports, mounts)| {
            let environment = if as_list {
                json!(variables.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
            } else {
                json!(variables)
            };
            let ports = ports.into_iter().map(|(target, published, is_long)| match (is_long, published) {
                (true, published) => json!({ "target": target, "published": published }),
                (false, Some(published)) => json!(format!("{published}:{target}")),
                (false, None) => json!(target),
            });
            let mounts = mounts.into_iter().map(|(name, is_long, read_only)| match is_long {
                true => json!({ "type": "volume", "source": name, "target": "/x", "read_only": read_only }),
                false => json!(format!("{name}:/x{}", if read_only { ":ro" } else { "" })),
            });
            json!({ "image": "a", "environment": environment, "ports": ports.collect::<Vec<_>>(),
                "volumes": mounts.collect::<Vec<_>>() })
        })
    }

    /// The same values, so many of them moved to an anchor's map as are chosen.
    fn split(service: &Value, moved: [bool; 4]) -> (Value, Value) {
        let (mut own, mut common) = (service.clone(), json!({}));
        for (key, moved) in ["image", "environment", "ports", "volumes"].into_iter().zip(moved) {
            if moved {
                common[key] = own[key].take();
                own.as_object_mut().unwrap().remove(key);
            }
        }
        (own, common)
    }

    proptest! {
        #[test]
        fn a_merge_key_changes_nothing_but_where_it_is_said(service in service(), moved in any::<[bool; 4]>()) {
            let names = |service: &Value| -> Vec<String> {
                let volumes = service["volumes"].as_array().unwrap().iter();
                let source = |volume: &Value| volume["source"].as_str().map(str::to_owned);
                volumes.map(|v| source(v).unwrap_or_else(|| v.as_str().unwrap().split(':').next().unwrap().into())).collect()
            };
            let declared: Value = names(&service).into_iter().map(|name| (name, Value::Null)).collect::<serde_json::Map<_, _>>().into();
            // JSON is YAML; an anchor stands before its map.
            let plain = json!({ "services": { "web": service }, "volumes": declared }).to_string();
            let (own, common) = split(&service, moved);
            let mut merged = own.as_object().unwrap().iter().map(|(key, value)| format!("{}: {value}", json!(key))).collect::<Vec<_>>();
            merged.insert(0, "<<: *common".to_owned());
            let merged = format!(
                "x-common: &common {common}\nservices: {{ web: {{ {} }} }}\nvolumes: {declared}\n", merged.join(", "),
            );
            let plain = project(&plain);
            prop_assert!(plain.is_ok(), "{plain:?}");
            prop_assert_eq!(project(&merged), plain);
        }
    }
}
