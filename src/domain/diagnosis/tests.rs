//! Purpose: what stopped tasks mean, class by class.

use super::*;

fn task(code: &str, reason: &str, containers: &[(&str, Option<i32>, &str)]) -> Task {
    let containers = containers.iter().map(|(name, exit_code, reason)| TaskContainer {
        name: (*name).to_owned(),
        exit_code: *exit_code,
        reason: Some((*reason).to_owned()).filter(|reason| !reason.is_empty()),
        ..TaskContainer::default()
    });
    Task {
        stop_code: Some(code.to_owned()).filter(|code| !code.is_empty()),
        stopped_reason: Some(reason.to_owned()).filter(|reason| !reason.is_empty()),
        containers: containers.collect(),
        ..Task::default()
    }
}

type Containers = &'static [(&'static str, Option<i32>, &'static str)];

/// Reasons as ECS words them (developer guide; aws-actions and fabfuel issue threads).
const WORDS: &[(Class, &str, &str, Containers)] = &[
    (
        Class::ImagePull,
        "TaskFailedToStart",
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref 1.dkr.ecr.eu-central-1.amazonaws.com/web:x: not found",
        &[("web", None, "")],
    ),
    (
        Class::ImagePull,
        "TaskFailedToStart",
        "Task failed to start",
        &[("web", None, "CannotPullContainerError: Error response from daemon: pull access denied for web")],
    ),
    (
        Class::Secret,
        "TaskFailedToStart",
        "ResourceInitializationError: unable to pull secrets or registry auth: execution resource retrieval failed: unable to retrieve secret from asm: service call has been retried 1 time(s): AccessDeniedException",
        &[("web", None, "")],
    ),
    (
        Class::Secret,
        "TaskFailedToStart",
        "ResourceInitializationError: unable to pull secrets or registry auth: unable to retrieve secrets from ssm: invalid parameters: /db",
        &[],
    ),
    (
        Class::Logging,
        "TaskFailedToStart",
        "ResourceInitializationError: failed to validate logger args: create stream has been retried 1 times: ResourceNotFoundException: The specified log group does not exist.",
        &[],
    ),
    (
        Class::HealthCheck,
        "ServiceSchedulerInitiated",
        "Task failed ELB health checks in (target-group arn:aws:elasticloadbalancing:eu-central-1:1:targetgroup/web/1)",
        &[("web", Some(143), "")],
    ),
    (Class::HealthCheck, "ServiceSchedulerInitiated", "Task failed container health checks", &[("web", Some(137), "")]),
    (
        Class::OutOfMemory,
        "EssentialContainerExited",
        "Essential container in task exited",
        &[("web", Some(137), "OutOfMemoryError: Container killed due to memory usage")],
    ),
    (
        Class::Port,
        "TaskFailedToStart",
        "Task failed to start",
        &[(
            "web",
            None,
            "CannotStartContainerError: Error response from daemon: driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: port is already allocated",
        )],
    ),
    (
        Class::Capacity,
        "TaskFailedToStart",
        "Capacity is unavailable at this time. Please try again later or in a different availability zone",
        &[],
    ),
    (Class::Capacity, "TaskFailedToStart", "RESOURCE:MEMORY", &[]),
    (Class::Attachment, "TaskFailedToStart", "Timeout waiting for network interface provisioning to complete.", &[]),
    (
        Class::Attachment,
        "TaskFailedToStart",
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes",
        &[],
    ),
    (
        Class::Architecture,
        "TaskFailedToStart",
        "CannotPullContainerError: pull image manifest has been retried 1 time(s): image Manifest does not contain descriptor matching platform 'linux/amd64'",
        &[],
    ),
    (
        Class::Architecture,
        "EssentialContainerExited",
        "Essential container in task exited",
        &[("web", Some(1), "exec /app: exec format error")],
    ),
    (
        Class::Command,
        "TaskFailedToStart",
        "Task failed to start",
        &[(
            "web",
            None,
            "CannotStartContainerError: OCI runtime create failed: exec: \"serve\": executable file not found in $PATH",
        )],
    ),
    (Class::Command, "EssentialContainerExited", "Essential container in task exited", &[("web", Some(127), "")]),
    (
        Class::ApplicationExit,
        "EssentialContainerExited",
        "Essential container in task exited",
        &[("web", Some(1), ""), ("log", Some(143), "")],
    ),
    (Class::ApplicationExit, "EssentialContainerExited", "Essential container in task exited", &[("web", Some(0), "")]),
    (
        Class::Deliberate,
        "ServiceSchedulerInitiated",
        "Scaling activity initiated by (deployment ecs-svc/123)",
        &[("web", Some(143), "")],
    ),
    (Class::Deliberate, "UserInitiated", "Task stopped by a person", &[("web", Some(137), "")]),
    (Class::Deliberate, "SpotInterruption", "Your Spot Task was interrupted.", &[]),
    (Class::Unknown, "TaskFailedToStart", "Something that nobody has seen", &[]),
    (Class::Unknown, "", "", &[]),
];

#[test]
fn the_words_of_ecs_find_their_class() {
    for (expected, code, reason, containers) in WORDS {
        let found = diagnose(&task(code, reason, containers));
        assert_eq!(found.class, *expected, "{code} {reason} → {found:?}");
        assert_eq!(found.hint.is_empty(), *expected == Class::Deliberate);
        assert!(!found.cause.is_empty());
    }
}

#[test]
fn the_same_trouble_has_the_same_key_whatever_its_ids() {
    let pull = |id: &str| {
        diagnose(&task(
            "TaskFailedToStart",
            &format!("CannotPullContainerError: ref 1.dkr.ecr/web:{id}: not found (request id {id}9)"),
            &[],
        ))
        .key
    };
    assert_eq!(pull("a1b2"), pull("c3d4"));
    let exit = |code| {
        diagnose(&task("EssentialContainerExited", "Essential container in task exited", &[("web", Some(code), "")]))
            .key
    };
    assert_eq!(exit(1), exit(1));
    assert_ne!(exit(1), exit(2));
    assert_ne!(exit(1), pull("a1"));
}

#[test]
fn a_cause_is_one_line_that_names_the_container() {
    let found =
        diagnose(&task("EssentialContainerExited", "Essential container in task exited", &[("web", Some(1), "a\nb")]));
    assert_eq!(found.cause, "container web ended with exit code 1: a b");
}
