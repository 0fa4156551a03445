//! Purpose: which keys a task definition may have, so that a typo is named instead of lost.

use serde_json::Value;

/// Keys that ECS adds to what it returns and refuses in what it is given: the eight that
/// amazon-ecs-deploy-task-definition removes, and `deleteRequestedAt`.
pub const READ_ONLY: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];

/// The keys of every structure below RegisterTaskDefinition's request, by the path to it (aws-sdk-ecs 1.157). What
/// is not listed here holds free keys (labels, options) or is no structure.
const SHAPES: &[(&str, &str)] = &[
    (
        "",
        "family taskRoleArn executionRoleArn networkMode containerDefinitions volumes placementConstraints requiresCompatibilities cpu memory tags pidMode ipcMode proxyConfiguration inferenceAccelerators ephemeralStorage runtimePlatform enableFaultInjection",
    ),
    (
        "containerDefinitions",
        "name image repositoryCredentials cpu memory memoryReservation links portMappings essential restartPolicy entryPoint command environment environmentFiles mountPoints volumesFrom linuxParameters secrets dependsOn startTimeout stopTimeout versionConsistency hostname user workingDirectory disableNetworking privileged readonlyRootFilesystem dnsServers dnsSearchDomains extraHosts dockerSecurityOptions interactive pseudoTerminal dockerLabels ulimits logConfiguration healthCheck systemControls resourceRequirements firelensConfiguration credentialSpecs",
    ),
    ("containerDefinitions.repositoryCredentials", "credentialsParameter"),
    ("containerDefinitions.portMappings", "containerPort hostPort protocol name appProtocol containerPortRange"),
    ("containerDefinitions.restartPolicy", "enabled ignoredExitCodes restartAttemptPeriod"),
    ("containerDefinitions.environment", "name value"),
    ("containerDefinitions.environmentFiles", "value type"),
    ("containerDefinitions.mountPoints", "sourceVolume containerPath readOnly"),
    ("containerDefinitions.volumesFrom", "sourceContainer readOnly"),
    (
        "containerDefinitions.linuxParameters",
        "capabilities devices initProcessEnabled sharedMemorySize tmpfs maxSwap swappiness",
    ),
    ("containerDefinitions.linuxParameters.capabilities", "add drop"),
    ("containerDefinitions.linuxParameters.devices", "hostPath containerPath permissions"),
    ("containerDefinitions.linuxParameters.tmpfs", "containerPath size mountOptions"),
    ("containerDefinitions.secrets", "name valueFrom"),
    ("containerDefinitions.dependsOn", "containerName condition"),
    ("containerDefinitions.extraHosts", "hostname ipAddress"),
    ("containerDefinitions.ulimits", "name softLimit hardLimit"),
    ("containerDefinitions.logConfiguration", "logDriver options secretOptions"),
    ("containerDefinitions.logConfiguration.secretOptions", "name valueFrom"),
    ("containerDefinitions.healthCheck", "command interval timeout retries startPeriod"),
    ("containerDefinitions.systemControls", "namespace value"),
    ("containerDefinitions.resourceRequirements", "value type sharingStrategy"),
    ("containerDefinitions.firelensConfiguration", "type options"),
    (
        "volumes",
        "name host dockerVolumeConfiguration efsVolumeConfiguration s3filesVolumeConfiguration fsxWindowsFileServerVolumeConfiguration configuredAtLaunch",
    ),
    ("volumes.host", "sourcePath"),
    ("volumes.dockerVolumeConfiguration", "scope autoprovision driver driverOpts labels"),
    (
        "volumes.efsVolumeConfiguration",
        "fileSystemId rootDirectory transitEncryption transitEncryptionPort authorizationConfig",
    ),
    ("volumes.efsVolumeConfiguration.authorizationConfig", "accessPointId iam"),
    ("volumes.s3filesVolumeConfiguration", "fileSystemArn rootDirectory transitEncryptionPort accessPointArn"),
    ("volumes.fsxWindowsFileServerVolumeConfiguration", "fileSystemId rootDirectory authorizationConfig"),
    ("volumes.fsxWindowsFileServerVolumeConfiguration.authorizationConfig", "credentialsParameter domain"),
    ("placementConstraints", "type expression"),
    ("tags", "key value"),
    ("proxyConfiguration", "type containerName properties"),
    ("proxyConfiguration.properties", "name value"),
    ("inferenceAccelerators", "deviceName deviceType"),
    ("ephemeralStorage", "sizeInGib"),
    ("runtimePlatform", "cpuArchitecture operatingSystemFamily"),
];

/// Paths of the keys that this table does not know: typos, or fields newer than it.
#[must_use]
pub(super) fn unknown_keys(definition: &serde_json::Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    visit("", "", definition, &mut found);
    found
}

fn visit(shape: &str, shown: &str, object: &serde_json::Map<String, Value>, found: &mut Vec<String>) {
    let Some((_, known)) = SHAPES.iter().find(|(path, _)| *path == shape) else {
        return;
    };
    for (key, value) in object {
        let shown = joined(shown, key);
        if !known.split(' ').any(|name| name == key) {
            found.push(shown);
            continue;
        }
        let shape = joined(shape, key);
        match value {
            Value::Object(inside) => visit(&shape, &shown, inside, found),
            Value::Array(entries) => {
                for (index, entry) in entries.iter().enumerate() {
                    if let Value::Object(inside) = entry {
                        visit(&shape, &format!("{shown}[{}]", label(inside, index)), inside, found);
                    }
                }
            }
            _ => {}
        }
    }
}

fn joined(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

fn label(entry: &serde_json::Map<String, Value>, index: usize) -> String {
    entry.get("name").and_then(Value::as_str).map_or_else(|| index.to_string(), str::to_owned)
}

/// The known keys of the structure that holds `path`, for finding the nearest one to a typo.
pub fn siblings(path: &str) -> impl Iterator<Item = &'static str> {
    let mut shape = String::new();
    let mut inside_brackets = false;
    for c in path.chars() {
        match c {
            '[' => inside_brackets = true,
            ']' => inside_brackets = false,
            c if !inside_brackets => shape.push(c),
            _ => {}
        }
    }
    let parent = shape.rsplit_once('.').map_or("", |(parent, _)| parent).to_owned();
    SHAPES.iter().filter(move |(path, _)| *path == parent).flat_map(|(_, known)| known.split(' '))
}
