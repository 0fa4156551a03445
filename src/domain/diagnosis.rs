//! Purpose: why a task stopped, from what ECS says of it, and what to do about it.
//!
//! The phrases come from the ECS developer guide, "Stopped tasks error codes" and "Task failed to start", and from
//! the issue threads of the actions that this one replaces.

use super::ecs::{Task, TaskContainer};

/// Kinds of reasons for which a task stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// The image could not be pulled.
    ImagePull,
    /// A secret or parameter could not be read.
    Secret,
    /// The log driver could not start: a missing log group, most often.
    Logging,
    /// A container or load balancer health check failed.
    HealthCheck,
    /// Killed for using too much memory.
    OutOfMemory,
    /// A port was taken.
    Port,
    /// No place to run: no capacity, no address, no instance.
    Capacity,
    /// The image is for another processor.
    Architecture,
    /// The container's command could not be started.
    Command,
    /// A volume or network interface could not be attached.
    Attachment,
    /// The application ended by itself.
    ApplicationExit,
    /// Stopped on purpose: scaling, a newer deployment, a person, reclaimed capacity. No failure.
    Deliberate,
    /// Something that this list does not know.
    Unknown,
}

/// Why a task stopped.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Diagnosis {
    /// The kind.
    pub class: Class,
    /// One line: what happened, to which container.
    pub cause: String,
    /// What to do; empty for a deliberate stop.
    pub hint: &'static str,
    /// Equal for tasks that stopped for the same cause.
    #[serde(skip)]
    pub key: String,
}

impl Class {
    /// What to do about it.
    #[must_use]
    pub fn hint(self) -> &'static str {
        match self {
            Self::ImagePull => {
                "Check that the image exists, that the execution role may pull it (ecr:GetAuthorizationToken, \
                 ecr:BatchGetImage, ecr:GetDownloadUrlForLayer), and that the subnet reaches the registry (NAT or VPC endpoints)."
            }
            Self::Secret => {
                "Check the ARN in `secrets`, that the execution role may read it (ssm:GetParameters, \
                 secretsmanager:GetSecretValue, kms:Decrypt), and that the subnet reaches the service."
            }
            Self::Logging => {
                "Create the log group, or set `awslogs-create-group: \"true\"` and allow the execution role logs:CreateLogGroup, \
                 logs:CreateLogStream and logs:PutLogEvents."
            }
            Self::HealthCheck => {
                "Look at the container's log: it runs but does not answer its health check. Check path, port and status, \
                 the security group, and whether the grace period is long enough for its start."
            }
            Self::OutOfMemory => "Raise `memory` of the task or the container, or find out what uses it.",
            Self::Port => "Another task on the host holds the port. Use a dynamic host port (0) or awsvpc networking.",
            Self::Capacity => {
                "Add capacity: instances with enough CPU, memory and ports, free addresses in the subnets, or another zone or \
                 capacity provider."
            }
            Self::Architecture => {
                "The image is built for another processor. Build for the platform of the task (`runtimePlatform.cpuArchitecture`)."
            }
            Self::Command => "Check `entryPoint` and `command`: the program must exist in the image and be executable.",
            Self::Attachment => {
                "Check the volume or network settings: the file system's mount targets and security groups, or free addresses \
                 in the subnets."
            }
            Self::ApplicationExit => "Look at the container's last log lines: the program ended by itself.",
            Self::Deliberate => "",
            Self::Unknown => "Look at the reason above and at the container's last log lines.",
        }
    }
}

/// Phrases of a reason, by class; the first that occurs decides. Lower case.
const PHRASES: &[(&str, Class)] = &[
    ("exec format error", Class::Architecture),
    ("does not contain descriptor matching platform", Class::Architecture),
    ("no match for platform in manifest", Class::Architecture),
    ("unable to pull secrets", Class::Secret),
    ("unable to retrieve secret", Class::Secret),
    ("secrets manager", Class::Secret),
    ("asm fetching secret", Class::Secret),
    ("fetching secret data from ssm", Class::Secret),
    ("invalid ssm parameter", Class::Secret),
    ("failed to validate logger args", Class::Logging),
    ("log group does not exist", Class::Logging),
    ("log stream", Class::Logging),
    ("failed to initialize logging driver", Class::Logging),
    ("cannotpull", Class::ImagePull),
    ("pull image manifest", Class::ImagePull),
    ("unable to pull registry auth", Class::ImagePull),
    ("manifest unknown", Class::ImagePull),
    ("pull access denied", Class::ImagePull),
    ("ecr.auth", Class::ImagePull),
    ("outofmemory", Class::OutOfMemory),
    ("out of memory", Class::OutOfMemory),
    ("oomkilled", Class::OutOfMemory),
    ("health check", Class::HealthCheck),
    ("unhealthy", Class::HealthCheck),
    ("address already in use", Class::Port),
    ("port is already allocated", Class::Port),
    ("resource:ports", Class::Port),
    ("capacity is unavailable", Class::Capacity),
    ("resource:", Class::Capacity),
    ("insufficient", Class::Capacity),
    ("no container instance", Class::Capacity),
    ("not enough free addresses", Class::Capacity),
    ("insufficientfreeaddresses", Class::Capacity),
    ("network interface", Class::Attachment),
    ("failed to invoke efs", Class::Attachment),
    ("efs utils", Class::Attachment),
    ("failed to mount", Class::Attachment),
    ("mount target", Class::Attachment),
    ("attach volume", Class::Attachment),
    ("cannotstartcontainer", Class::Command),
    ("cannotcreatecontainer", Class::Command),
    ("executable file not found", Class::Command),
    ("no such file or directory", Class::Command),
];

/// Diagnoses a stopped task.
#[must_use]
pub fn diagnose(task: &Task) -> Diagnosis {
    let reason = task.stopped_reason.as_deref().unwrap_or_default();
    if is_deliberate(task.stop_code.as_deref(), reason) {
        return diagnosis(Class::Deliberate, reason.to_owned(), "deliberate".to_owned());
    }
    if let Some(container) = task.containers.iter().find(|container| is_out_of_memory(container)) {
        let cause = format!("container {} was killed: out of memory", container.name);
        return diagnosis(Class::OutOfMemory, cause, format!("oom {}", container.name));
    }
    if let Some((class, said)) = by_phrase(task, reason) {
        let key = format!("{class:?} {}", without_variables(said));
        return diagnosis(class, one_line(said), key);
    }
    match task.containers.iter().find(|container| failed(container)).or_else(|| ended(task)) {
        Some(container) => exited(container),
        None => diagnosis(Class::Unknown, one_line(reason), format!("unknown {}", without_variables(reason))),
    }
}

fn diagnosis(class: Class, cause: String, key: String) -> Diagnosis {
    let cause = if cause.is_empty() { "ECS gave no reason".to_owned() } else { cause };
    Diagnosis { class, cause, hint: class.hint(), key }
}

/// Stops that nobody has to look into.
fn is_deliberate(code: Option<&str>, reason: &str) -> bool {
    let reason = reason.to_ascii_lowercase();
    match code {
        Some("UserInitiated" | "SpotInterruption" | "TerminationNotice") => true,
        // The scheduler stops tasks for scaling and replacement, and for failed health checks too.
        Some("ServiceSchedulerInitiated") => !reason.contains("health check") && !reason.contains("unhealthy"),
        _ => reason.starts_with("scaling activity initiated by"),
    }
}

/// 137 alone is any SIGKILL, a slow stop for example; only together with the agent's words it is memory.
fn is_out_of_memory(container: &TaskContainer) -> bool {
    container.reason.as_deref().is_some_and(|reason| reason.to_ascii_lowercase().contains("outofmemory"))
}

fn by_phrase<'a>(task: &'a Task, reason: &'a str) -> Option<(Class, &'a str)> {
    let reasons = task.containers.iter().filter_map(|container| container.reason.as_deref());
    reasons.chain([reason]).find_map(|said| {
        let lower = said.to_ascii_lowercase();
        let found = PHRASES.iter().find(|(phrase, _)| lower.contains(phrase));
        found.map(|(_, class)| (*class, said))
    })
}

fn failed(container: &TaskContainer) -> bool {
    container.exit_code.is_some_and(|code| code != 0)
}

/// The container whose end, although successful, ended the task.
fn ended(task: &Task) -> Option<&TaskContainer> {
    let essential = task.stop_code.as_deref() == Some("EssentialContainerExited");
    task.containers.iter().find(|container| essential && container.exit_code.is_some())
}

fn exited(container: &TaskContainer) -> Diagnosis {
    let (name, code) = (&container.name, container.exit_code.unwrap_or_default());
    let meaning = match code {
        0 => " (no error, but a service's container must not end)",
        126 => " (the command cannot be executed)",
        127 => " (the command does not exist)",
        134 => " (aborted)",
        137 => " (killed; out of memory when nobody stopped it)",
        139 => " (segmentation fault)",
        143 => " (terminated)",
        _ => "",
    };
    let class = if matches!(code, 126 | 127) { Class::Command } else { Class::ApplicationExit };
    let said = container.reason.as_deref().map(|reason| format!(": {}", one_line(reason))).unwrap_or_default();
    diagnosis(
        class,
        format!("container {name} ended with exit code {code}{meaning}{said}"),
        format!("exit {name} {code}"),
    )
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(500).collect()
}

/// The text without what differs between two tasks of the same trouble: ids, addresses, numbers.
fn without_variables(text: &str) -> String {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let fixed = words.filter(|word| !word.contains(|c: char| c.is_ascii_digit()));
    fixed.take(24).collect::<Vec<_>>().join(" ").to_ascii_lowercase()
}

#[cfg(test)]
mod tests;
