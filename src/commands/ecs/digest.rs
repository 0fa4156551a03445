//! Purpose: the proof that what runs is what was meant.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::ecs::Task;
use crate::domain::reference::ImageRef;
use crate::domain::task_definition::TaskDefinition;

/// What the running tasks' digests prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Every task runs what was meant.
    Proven,
    /// It can be neither proven nor disproven.
    Open(String),
    /// A task runs something else.
    Disproven(String),
}

/// Judges running tasks of one revision. `known` has the digests that each image may run as, where its registry told.
pub(crate) fn judge(definition: &TaskDefinition, tasks: &[Task], known: &BTreeMap<String, Vec<String>>) -> Proof {
    if tasks.is_empty() {
        return Proof::Open("no running task of the revision is listed".to_owned());
    }
    let mut open = None;
    let mut proven = false;
    for container in definition.containers() {
        let Some(image) = container.image() else {
            continue;
        };
        let pinned = image.parse::<ImageRef>().ok().and_then(|image| image.digest().map(ToString::to_string));
        let Some(accepted) = known.get(image).cloned().or_else(|| pinned.clone().map(|digest| vec![digest])) else {
            open.get_or_insert(format!("container {}: it is not known which digest {image} has", container.name()));
            continue;
        };
        for task in tasks {
            let digest = task.container(container.name()).and_then(|container| container.image_digest.as_ref());
            match digest {
                Some(digest) if accepted.contains(digest) => proven = true,
                // Pinned to an index whose platforms nobody told: another digest may well be one of them.
                Some(digest) if !known.contains_key(image) => {
                    open.get_or_insert(format!(
                        "container {} runs {digest}, which may be a platform of {image}",
                        container.name()
                    ));
                }
                Some(digest) => {
                    return Proof::Disproven(format!(
                        "container {} of task {} runs {digest}, which is not {image}",
                        container.name(),
                        task.id()
                    ));
                }
                None => {
                    open.get_or_insert(format!(
                        "container {} of task {} reports no digest",
                        container.name(),
                        task.id()
                    ));
                }
            }
        }
    }
    match open {
        Some(open) => Proof::Open(open),
        None if proven => Proof::Proven,
        None => Proof::Open("no container has an image".to_owned()),
    }
}

/// The digests that the tasks report, each once.
pub(crate) fn digests(tasks: &[Task]) -> Vec<String> {
    let containers = tasks.iter().flat_map(|task| &task.containers);
    let digests: BTreeSet<&String> = containers.filter_map(|container| container.image_digest.as_ref()).collect();
    digests.into_iter().cloned().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::ecs::TaskContainer;

    const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    fn definition(image: &str) -> TaskDefinition {
        TaskDefinition::of_answer(
            json!({ "family": "web", "containerDefinitions": [{ "name": "web", "image": image }] }),
        )
        .unwrap()
    }

    fn task(digest: Option<&str>) -> Task {
        let container =
            TaskContainer { name: "web".into(), image_digest: digest.map(str::to_owned), ..TaskContainer::default() };
        Task { arn: "task/1".into(), containers: vec![container], ..Task::default() }
    }

    fn told(image: &str, digests: &[&str]) -> BTreeMap<String, Vec<String>> {
        BTreeMap::from([(image.to_owned(), digests.iter().map(|digest| (*digest).to_owned()).collect())])
    }

    #[test]
    fn only_a_known_other_digest_disproves() {
        let none = BTreeMap::new();
        let pinned = format!("acme/web@{A}");
        assert_eq!(judge(&definition(&pinned), &[task(Some(A))], &none), Proof::Proven);
        assert!(matches!(judge(&definition(&pinned), &[task(Some(B))], &none), Proof::Open(_)), "may be a platform");
        assert!(matches!(judge(&definition(&pinned), &[task(Some(B))], &told(&pinned, &[A])), Proof::Disproven(_)));
        assert_eq!(judge(&definition("acme/web:1"), &[task(Some(B))], &told("acme/web:1", &[A, B])), Proof::Proven);
        assert!(matches!(judge(&definition("acme/web:1"), &[task(Some(B))], &none), Proof::Open(_)));
        assert!(matches!(judge(&definition(&pinned), &[task(None)], &none), Proof::Open(_)));
        assert!(matches!(judge(&definition(&pinned), &[], &none), Proof::Open(_)));
        let mixed = [task(Some(A)), task(Some(B))];
        assert!(matches!(judge(&definition(&pinned), &mixed, &told(&pinned, &[A])), Proof::Disproven(_)));
    }
}
