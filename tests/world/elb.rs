//! Purpose: Elastic Load Balancing: the health of targets, in the query protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::aws::{AwsError, REQUEST_ID, admit, xml_escape};
use super::http::{Reply, Request};
use super::state::State;

/// Targets by target group ARN.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Targets(pub BTreeMap<String, Vec<Target>>);

/// One target's health.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    pub id: String,
    pub port: u16,
    /// `healthy`, `unhealthy`, `initial`, `draining` …
    pub state: String,
    /// `Target.FailedHealthChecks` …
    pub reason: String,
    pub description: String,
}

/// One form-encoded operation.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let operation = request.target.clone().unwrap_or_default();
    if operation != "DescribeTargetHealth" {
        return Reply { unknown: true, ..AwsError::new("InvalidAction", "unknown action").as_xml() };
    }
    if let Err(error) = admit(state, request, &operation) {
        let code = if error.code == "AccessDeniedException" { "AccessDenied".to_owned() } else { error.code };
        return AwsError { status: 403, code, message: error.message }.as_xml();
    }
    let group = request.form().get("TargetGroupArn").cloned().unwrap_or_default();
    let Some(targets) = state.targets.0.get(&group) else {
        return AwsError::new("TargetGroupNotFound", "One or more target groups not found").as_xml();
    };
    let members: String = targets.iter().map(member).collect();
    let body = format!(
        "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
         <DescribeTargetHealthResult><TargetHealthDescriptions>{members}</TargetHealthDescriptions>\
         </DescribeTargetHealthResult><ResponseMetadata><RequestId>{REQUEST_ID}</RequestId></ResponseMetadata>\
         </DescribeTargetHealthResponse>"
    );
    Reply::bytes(200, "text/xml", body)
}

fn member(target: &Target) -> String {
    let optional = |name: &str, value: &str| {
        if value.is_empty() { String::new() } else { format!("<{name}>{}</{name}>", xml_escape(value)) }
    };
    format!(
        "<member><Target><Id>{}</Id><Port>{}</Port></Target><TargetHealth><State>{}</State>{}{}</TargetHealth></member>",
        xml_escape(&target.id),
        target.port,
        xml_escape(&target.state),
        optional("Reason", &target.reason),
        optional("Description", &target.description),
    )
}
