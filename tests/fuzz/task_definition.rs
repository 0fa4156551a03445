//! Task definitions, as people keep them in JSON and YAML and as ECS answers them.

use landfall::domain::task_definition::{Format, TaskDefinition};

/// What is read is the same after it was written, and an image that is set is there and nothing else changed.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(answer) = serde_json::from_str(text) {
        let _ = TaskDefinition::of_answer(answer);
    }
    for format in [Format::Json, Format::Yaml] {
        let Ok((definition, _)) = TaskDefinition::parse(text, format) else { continue };
        let written = definition.to_value().to_string();
        let (again, _) = TaskDefinition::parse(&written, Format::Json).unwrap();
        assert!(definition.is_same_as(&again), "{written}");
        assert!(definition.changes_to(&again).is_empty(), "{written}");
        for name in definition.container_names() {
            let mut changed = again.clone();
            changed.set_image(&name, "acme/app:1").unwrap();
            let set = changed.containers().find(|container| container.name() == name).unwrap();
            assert_eq!(set.image(), Some("acme/app:1"));
            assert!(definition.changes_to(&changed).len() <= 1, "{:?}", definition.changes_to(&changed));
            for container in changed.containers() {
                let _ = (container.awslogs(), container.secrets().count(), container.is_essential());
            }
        }
    }
}
