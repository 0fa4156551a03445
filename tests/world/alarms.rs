//! Purpose: CloudWatch alarms: why they are in the state they are in, in the query protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::aws::{AwsError, REQUEST_ID, admit, xml_escape};
use super::http::{Reply, Request};
use super::state::State;

/// Reasons by the alarm's name.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Alarms(pub BTreeMap<String, String>);

/// One form-encoded operation.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    let operation = request.target.clone().unwrap_or_default();
    if operation != "DescribeAlarms" {
        return Reply { unknown: true, ..AwsError::new("InvalidAction", "unknown action").as_xml() };
    }
    if let Err(error) = admit(state, request, &operation) {
        let code = if error.code == "AccessDeniedException" { "AccessDenied".to_owned() } else { error.code };
        return AwsError { status: 403, code, message: error.message }.as_xml();
    }
    let form = request.form();
    let names: Vec<&String> =
        form.iter().filter(|(key, _)| key.starts_with("AlarmNames.member.")).map(|(_, name)| name).collect();
    let member = |(name, reason): (&String, &String)| {
        format!(
            "<member><AlarmName>{}</AlarmName><StateValue>ALARM</StateValue><StateReason>{}</StateReason></member>",
            xml_escape(name),
            xml_escape(reason)
        )
    };
    let members: String = state.alarms.0.iter().filter(|(name, _)| names.contains(name)).map(member).collect();
    let body = format!(
        "<DescribeAlarmsResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\"><DescribeAlarmsResult>\
         <CompositeAlarms/><MetricAlarms>{members}</MetricAlarms></DescribeAlarmsResult><ResponseMetadata>\
         <RequestId>{REQUEST_ID}</RequestId></ResponseMetadata></DescribeAlarmsResponse>"
    );
    Reply::bytes(200, "text/xml", body)
}
