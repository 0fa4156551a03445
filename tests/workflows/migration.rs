//! The guides for moving: every input of an action that is replaced is spoken of.

use super::text;

/// Guide, action and version, inputs as that version's own metadata lists them.
const REPLACED: [(&str, &str, &str); 11] = [
    (
        "docker",
        "docker/metadata-action v6.2.0",
        "context images tags flavor labels annotations sep-tags sep-labels sep-annotations bake-target github-token",
    ),
    (
        "docker",
        "docker/build-push-action v7.3.0",
        "add-hosts allow annotations attests build-args build-contexts builder cache-from cache-to call cgroup-parent context file \
         labels load network no-cache no-cache-filters outputs platforms provenance pull push sbom secrets secret-envs secret-files \
         shm-size ssh tags target ulimit github-token",
    ),
    ("docker", "docker/setup-qemu-action v4.2.0", "image platforms reset cache-image"),
    (
        "docker",
        "docker/setup-buildx-action v4.3.0",
        "version driver driver-opts buildkitd-flags buildkitd-config buildkitd-config-inline use name endpoint platforms append \
         keep-state cache-binary cleanup",
    ),
    ("docker", "docker/login-action v4.1.0", "registry username password ecr scope logout registry-auth"),
    (
        "docker",
        "actions/upload-artifact v7.0.0",
        "name path if-no-files-found retention-days compression-level overwrite include-hidden-files archive",
    ),
    (
        "docker",
        "actions/download-artifact v8.0.1",
        "name artifact-ids path pattern merge-multiple github-token repository run-id skip-decompress digest-mismatch",
    ),
    (
        "aws",
        "aws-actions/configure-aws-credentials v6",
        "aws-region role-to-assume audience aws-access-key-id aws-secret-access-key aws-session-token web-identity-token-file \
         role-chaining role-duration-seconds role-session-name role-external-id role-skip-session-tagging transitive-tag-keys \
         custom-tags inline-session-policy managed-session-policies output-credentials output-env-credentials \
         unset-current-credentials disable-retry retry-max-attempts special-characters-workaround use-existing-credentials \
         allowed-account-ids force-skip-oidc action-timeout-s mask-aws-account-id http-proxy no-proxy sts-endpoint aws-profile \
         overwrite-aws-profile",
    ),
    ("aws", "aws-actions/amazon-ecr-login v2", "registries registry-type mask-password skip-logout http-proxy"),
    (
        "aws",
        "aws-actions/amazon-ecs-render-task-definition v1",
        "task-definition task-definition-arn task-definition-family task-definition-revision container-name image \
         environment-variables secrets env-files docker-labels command log-configuration-log-driver log-configuration-options \
         task-role-arn execution-role-arn",
    ),
    (
        "aws",
        "aws-actions/amazon-ecs-deploy-task-definition v2",
        "task-definition service cluster desired-count force-new-deployment wait-for-service-stability wait-for-minutes \
         wait-max-delay-seconds codedeploy-appspec codedeploy-application codedeploy-deployment-group \
         codedeploy-deployment-description codedeploy-deployment-config service-managed-ebs-volume-name service-managed-ebs-volume \
         run-task run-task-container-overrides run-task-subnets run-task-security-groups run-task-assign-public-IP \
         run-task-capacity-provider-strategy run-task-launch-type run-task-started-by run-task-tags \
         run-task-managed-ebs-volume-name run-task-managed-ebs-volume wait-for-task-stopped enable-ecs-managed-tags propagate-tags \
         keep-null-value-keys max-retries",
    ),
];

#[test]
fn every_input_of_a_replaced_action_is_spoken_of() {
    let mut missing = Vec::new();
    for (guide, action, inputs) in REPLACED {
        let page = text(&format!("docs/migrate/{guide}.md"));
        let named = |input: &str| page.contains(&format!("`{input}`")) || page.contains(&format!("`{input}:"));
        missing
            .extend(inputs.split_whitespace().filter(|input| !named(input)).map(|input| format!("{action}: {input}")));
    }
    assert!(missing.is_empty(), "docs/migrate says nothing of\n{}", missing.join("\n"));
}
