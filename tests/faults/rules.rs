//! Purpose: the faults there are, and the few rules that say how a command may end under each.

use crate::world::{Fault, Skin};

/// What is done to an upstream.
#[derive(Clone, Copy)]
pub(crate) enum Strike {
    /// A rule for the world.
    Answer(fn(Fault) -> Fault),
    /// Another address: nobody listens there.
    Refused,
    /// Another address: a name that does not exist.
    UnknownName,
    /// Another address: a certificate that nobody trusts.
    Untrusted,
    /// The machine's clock is wrong by so many seconds, and the upstream minds.
    Clock(i64),
}

/// How a fault is, as far as the end of a command depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It passes when the request is repeated.
    Passes,
    /// It passes, but whether the request took effect is not known.
    Doubtful,
    /// There is no usable answer, however often one asks.
    Unavailable,
    /// What answers is another program.
    Foreign,
    /// The answer does not end.
    Endless,
    /// Who we are is not accepted.
    Unauthenticated,
    /// We may not.
    Forbidden,
    /// It is not there.
    NotFound,
    /// It is not as we think.
    Conflict,
    /// The clocks differ.
    Skew,
}

/// How often a fault is tried. Services behind one client of ours differ in what a command makes of them, not in how the
/// wire can break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// At the first call of a command through each client: GitHub's, AWS's, the registries', …
    Client,
    /// At the first call to each upstream.
    Upstream,
    /// At every call that writes, and at the first call to each upstream.
    Writes,
    /// At every call.
    Calls,
}

/// A fault.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) class: Class,
    pub(crate) strike: Strike,
    pub(crate) depth: Depth,
}

const fn kind(name: &'static str, class: Class, depth: Depth, strike: Strike) -> Kind {
    Kind { name, class, strike, depth }
}

/// A gate that is never opened.
const NEVER: &str = "never";
const HALF_AN_OBJECT: &str = "{\"id\": 1, \"items\": [{\"na";

/// In the order of the table.
pub(crate) const KINDS: &[Kind] = &[
    kind(
        "one 429, `Retry-After: 2`",
        Class::Passes,
        Depth::Client,
        Strike::Answer(|f| f.times(1).status(429).retry_after(2)),
    ),
    kind("one 429, no `Retry-After`", Class::Passes, Depth::Client, Strike::Answer(|f| f.times(1).status(429))),
    kind("one secondary limit", Class::Passes, Depth::Client, Strike::Answer(|f| secondary(f.times(1)).retry_after(2))),
    kind("two 500", Doubtful, Depth::Client, Strike::Answer(|f| f.times(2).status(500))),
    kind("two 502", Doubtful, Depth::Client, Strike::Answer(|f| f.times(2).status(502))),
    kind("two 503", Doubtful, Depth::Writes, Strike::Answer(|f| f.times(2).status(503))),
    kind(
        "one answer lost after the work",
        Doubtful,
        Depth::Writes,
        Strike::Answer(|f| f.times(1).after_effect().reset()),
    ),
    kind("one body cut", Doubtful, Depth::Client, Strike::Answer(|f| f.times(1).truncate(1))),
    kind("one answer that never comes", Doubtful, Depth::Client, Strike::Answer(|f| f.times(1).hold(NEVER))),
    kind("connection refused", Unavailable, Depth::Upstream, Strike::Refused),
    kind("unknown name", Unavailable, Depth::Client, Strike::UnknownName),
    kind("untrusted certificate", Unavailable, Depth::Client, Strike::Untrusted),
    kind("connection reset", Unavailable, Depth::Client, Strike::Answer(Fault::reset)),
    kind("body cut", Unavailable, Depth::Client, Strike::Answer(|f| f.truncate(1))),
    kind("body that never ends", Endless, Depth::Client, Strike::Answer(|f| f.stall(1, NEVER))),
    kind(
        "half of the JSON",
        Foreign,
        Depth::Client,
        Strike::Answer(|f| f.status(200).content_type(JSON).body(HALF_AN_OBJECT)),
    ),
    kind("HTML with 200", Foreign, Depth::Writes, Strike::Answer(Fault::not_json)),
    kind("500", Unavailable, Depth::Client, Strike::Answer(|f| f.status(500))),
    kind("502", Unavailable, Depth::Client, Strike::Answer(|f| f.status(502))),
    kind("503", Unavailable, Depth::Calls, Strike::Answer(|f| f.status(503))),
    kind("429, `Retry-After: 7200`", Unavailable, Depth::Client, Strike::Answer(|f| f.status(429).retry_after(7200))),
    kind("429, no `Retry-After`", Unavailable, Depth::Client, Strike::Answer(|f| f.status(429))),
    kind("secondary limit", Unavailable, Depth::Client, Strike::Answer(|f| secondary(f).retry_after(7200))),
    kind(
        "401",
        Unauthenticated,
        Depth::Upstream,
        Strike::Answer(|f| f.status(401).error("UnrecognizedClientException", "Bad credentials")),
    ),
    kind("expired", Unauthenticated, Depth::Upstream, Strike::Answer(expired)),
    kind(
        "403",
        Forbidden,
        Depth::Calls,
        Strike::Answer(|f| f.status(403).error("AccessDeniedException", "Resource not accessible by integration")),
    ),
    kind(
        "404",
        NotFound,
        Depth::Upstream,
        Strike::Answer(|f| f.status(404).error("ResourceNotFoundException", "Not Found")),
    ),
    kind("409", Conflict, Depth::Client, Strike::Answer(|f| f.status(409).error("ConflictException", "Conflict"))),
    kind("clock an hour behind", Skew, Depth::Upstream, Strike::Clock(-3600)),
    kind("clock an hour ahead", Skew, Depth::Upstream, Strike::Clock(3600)),
];

const JSON: &str = "application/json";

fn secondary(fault: Fault) -> Fault {
    fault
        .status(403)
        .error("", "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
}

fn expired(fault: Fault) -> Fault {
    fault.status(403).error("ExpiredTokenException", "The security token included in the request is expired")
}

/// Whether an upstream has such a fault at all.
pub(crate) fn applies(kind: &Kind, skin: Skin) -> bool {
    match kind.name {
        "one secondary limit" | "secondary limit" => skin == Skin::Github,
        "expired" => is_aws(skin) && skin != Skin::Sts,
        "clock an hour ahead" => skin == Skin::Ssm,
        "clock an hour behind" => is_aws(skin) && skin != Skin::Sts,
        _ => true,
    }
}

/// Whether it is one of AWS's services.
pub(crate) fn is_aws(skin: Skin) -> bool {
    matches!(
        skin,
        Skin::Sts
            | Skin::Ecs
            | Skin::Ecr
            | Skin::EcrPublic
            | Skin::Logs
            | Skin::Ssm
            | Skin::Secrets
            | Skin::Elb
            | Skin::Alarms
    )
}

/// The exit codes that are honest.
pub(crate) fn honest(class: Class, is_write: bool) -> &'static [i32] {
    match class {
        Class::Passes => &[0],
        // A write whose effect is not known is not repeated.
        Doubtful if is_write => &[0, 4],
        Doubtful => &[0],
        Unavailable | Foreign => &[4],
        Endless => &[4, 1],
        Unauthenticated | Forbidden => &[5],
        NotFound => &[1, 5],
        Conflict => &[1],
        Skew => &[0, 5],
    }
}

/// A call that ends otherwise, and why that is right.
pub(crate) struct Exception {
    /// The beginning of the scene's name.
    pub(crate) scene: &'static str,
    /// Glob over the call as the table has it.
    pub(crate) call: &'static str,
    pub(crate) classes: &'static [Class],
    pub(crate) codes: &'static [i32],
    /// In a sentence for the page.
    pub(crate) because: &'static str,
}

const fn but(
    scene: &'static str,
    call: &'static str,
    classes: &'static [Class],
    codes: &'static [i32],
    because: &'static str,
) -> Exception {
    Exception { scene, call, classes, codes, because }
}

use Class::{Conflict, Doubtful, Endless, Forbidden, Foreign, NotFound, Skew, Unauthenticated, Unavailable};

const AWAY: &[Class] = &[Unavailable, Foreign, Endless];
const REFUSED: &[Class] = &[Forbidden, NotFound];
const NO_ANSWER: &[Class] = &[Unavailable, Foreign, Endless, Forbidden, NotFound, Conflict];
const ANYTHING: &[Class] = &[Unavailable, Foreign, Endless, Unauthenticated, Forbidden, NotFound, Conflict, Skew];

/// Every one of them is told on the page.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    but("", "GET /idtoken*", &[Conflict], &[5], "whatever GitHub's token service refuses, the job has no identity"),
    but("", "AssumeRole*", &[Conflict], &[5], "whatever STS refuses, the job has no identity"),
    but(
        "dashboard",
        "POST /graphql",
        REFUSED,
        &[0],
        "a token that may not ask for its own name is the job's own, whose name is known",
    ),
    but(
        "dashboard",
        "*/statuses*",
        REFUSED,
        &[0],
        "the commit status keeps writers of one moment apart; without it the comment is still checked after each write",
    ),
    but(
        "dashboard",
        "POST */comments",
        &[Forbidden],
        &[0],
        "a read-only token: the same content goes to the summary (`read-only-token`)",
    ),
    but("deploy", "BatchGetImage", NO_ANSWER, &[0], "the look ahead warns of what it cannot see; ECS itself decides"),
    but(
        "deploy",
        "BatchGetImage",
        &[NotFound],
        &[2],
        "an image that is not there is found before anything is touched (`image-not-found`)",
    ),
    but(
        "deploy",
        "DescribeLogGroups",
        NO_ANSWER,
        &[0],
        "the look ahead warns of what it cannot see; ECS itself decides",
    ),
    but(
        "deploy",
        "DescribeServices",
        &[NotFound],
        &[2],
        "a cluster or service that does not exist is a wrong input (`cluster-not-found`)",
    ),
    but("deploy", "GetLogEvents", NO_ANSWER, &[0], "the migration's log is shown; its exit code decides"),
    but(
        "deploy",
        "*Service*",
        NO_ANSWER,
        &[0],
        "the rollout is watched through what still answers: service deployments, or the service's own state",
    ),
    but("deploy", "*Tasks", NO_ANSWER, &[0], "tasks are evidence; the deployment's own state decides"),
    but(
        "deploy",
        "ListTaskDefinitions",
        NO_ANSWER,
        &[0],
        "old revisions are tidied up after the next deployment; a warning says so",
    ),
    but(
        "deploy",
        "DeregisterTaskDefinition",
        NO_ANSWER,
        &[0],
        "old revisions are tidied up after the next deployment; a warning says so",
    ),
    but(
        "deploy",
        "GET /web",
        ANYTHING,
        &[0, 1],
        "the page's own answer is what is judged (`health_status`); what is unhealthy is taken back",
    ),
    but(
        "doctor",
        "*",
        ANYTHING,
        &[0, 3],
        "a table tells all at once: what could not be asked (`partly-unknown`), and what is refused (`problems-found`)",
    ),
    but(
        "login",
        "GET /v2/",
        &[Foreign],
        &[0],
        "by the specification the status alone answers here; a web page is refused all the same",
    ),
    but(
        "merge",
        "PUT */manifests/*",
        &[Foreign],
        &[1],
        "what the registry has afterwards is compared with what was pushed (`push-unverified`)",
    ),
    but("metrics", "GET /rate_limit", &[NotFound], &[0], "Enterprise Servers without limits answer so"),
    but("metrics", "*/jobs", &[NotFound], &[0], "a run that was deleted meanwhile is left out"),
    but(
        "metrics",
        "* /v2/*",
        ANYTHING,
        &[0, 2],
        "images whose size is not known are counted as `unmeasured`; `images` takes no other registries than those it knows",
    ),
    but(
        "notify",
        "POST *",
        AWAY,
        &[0],
        "the status says that the message was taken; of the body only a web page matters",
    ),
    but(
        "prune of GHCR",
        "GET */manifests/*",
        &[NotFound, Conflict],
        &[0],
        "an unreadable manifest keeps everything that it might reach",
    ),
    but(
        "prune of GHCR",
        "GET */versions/*",
        AWAY,
        &[1],
        "single deletions may fail while others succeed (`partial-failure`)",
    ),
    but("prune of GHCR", "GET */versions/*", &[NotFound], &[0], "it is gone already"),
    but(
        "prune of GHCR",
        "DELETE *",
        &[Unavailable, Foreign, Endless, Doubtful],
        &[1],
        "single deletions may fail while others succeed (`partial-failure`)",
    ),
    but(
        "prune of ECR",
        "BatchGetImage",
        &[NotFound],
        &[0],
        "an unreadable manifest keeps everything that it might reach",
    ),
    but(
        "prune of ECR",
        "BatchDeleteImage",
        &[Unavailable, Foreign, Endless, Doubtful],
        &[1],
        "single deletions may fail while others succeed (`partial-failure`)",
    ),
    but("pull", "* /v2/*", ANYTHING, &[0], "what the registry does not give comes from the artifact"),
    but(
        "pull",
        "GET /blob/*",
        &[Foreign],
        &[1],
        "the content is compared with its digest; nothing of another is used (`artifact-damaged`)",
    ),
    but(
        "report",
        "POST /graphql",
        REFUSED,
        &[0],
        "a token that may not ask for its own name is the job's own, whose name is known",
    ),
    but("resolve", "*/git/ref/*", &[NotFound], &[0], "that there is no such branch is an answer"),
    but(
        "resolve",
        "HEAD */manifests/*",
        &[Foreign, NotFound],
        &[0],
        "what HEAD says without words is asked again with GET, and the digest compared",
    ),
    but(
        "rollback",
        "DescribeServices",
        &[NotFound],
        &[2],
        "a cluster or service that does not exist is a wrong input (`cluster-not-found`)",
    ),
    but(
        "rollback",
        "ListServiceDeployments",
        &[NotFound],
        &[2],
        "without a history the revision must be named (`previous-unknown`)",
    ),
    but("rollback", "DescribeServiceDeployments", NO_ANSWER, &[0], "the rollout is watched through what still answers"),
    but("rollback", "*Tasks", NO_ANSWER, &[0], "tasks are evidence; the deployment's own state decides"),
    but(
        "rollback",
        "DescribeLogGroups",
        NO_ANSWER,
        &[0],
        "the look ahead warns of what it cannot see; ECS itself decides",
    ),
    but(
        "rollback",
        "GET /web",
        ANYTHING,
        &[0, 1],
        "the page's own answer is what is judged (`health_status`); what is unhealthy is taken back",
    ),
    but("route", "*/permission", &[NotFound], &[3], "somebody whom the repository does not know has no permission"),
    but(
        "route",
        "*/activity",
        REFUSED,
        &[3],
        "when it is not known whether the commit is older than the comment, nothing runs",
    ),
    but("route", "*/reactions", ANYTHING, &[0], "a reaction is a courtesy; a warning says that it is missing"),
];

/// Outputs that say that something was done, and are right although the run failed.
pub(crate) const TRUE_ANYWAY: &[(&str, &str)] = &[
    // The reports' own verdict; what failed is telling it.
    ("report", "passed"),
    // The service does run the new revision; what failed came after it.
    ("deploy", "status"),
];

/// Writes that change nothing when they are done again, and are repeated for that reason.
pub(crate) const REPEATABLE: &[&str] =
    &["ecs UpdateService", "ssm PutParameter", "ecr StartImageScan", "registry push"];
