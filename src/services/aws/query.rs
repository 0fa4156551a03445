//! Purpose: the two questions in AWS's query protocol that explain a failed rollout: target health and alarm states.
//!
//! Form in, XML out. Their SDK crates would add megabytes for one operation each; the XML is read with the reader that
//! the STS client brings.

use std::collections::BTreeMap;

use aws_smithy_xml::decode::{Document, ScopedDecoder, XmlDecodeError, try_data};

use super::Session;
use super::error::{AwsError, Call};
use super::json::{Endpoint, Names};
use crate::services::http::Repeat;

/// Most alarms that one DescribeAlarms takes (API reference).
const ALARMS_PER_CALL: usize = 100;

const BALANCERS: Names = Names {
    signing: "elasticloadbalancing",
    host: "elasticloadbalancing",
    id: "Elastic Load Balancing v2",
    target: "",
};
const ALARMS: Names = Names { signing: "monitoring", host: "monitoring", id: "CloudWatch", target: "" };

/// The health of one target of a target group, as the load balancer sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TargetHealth {
    /// Address or instance.
    pub id: String,
    /// Port.
    pub port: String,
    /// `healthy`, `unhealthy`, `initial`, `draining`, …
    pub state: String,
    /// `Target.FailedHealthChecks`, `Target.Timeout`, …
    pub reason: String,
    /// In words.
    pub description: String,
}

impl Session {
    /// The health of the targets of a target group.
    ///
    /// # Errors
    /// Refusals of the service (`elasticloadbalancing:DescribeTargetHealth`) and transport errors.
    pub async fn target_health(&self, group: &str) -> Result<Vec<TargetHealth>, AwsError> {
        let call = Call::new(BALANCERS.signing, "DescribeTargetHealth", format!("target group {group}"));
        let form = [("TargetGroupArn".to_owned(), group.to_owned())];
        let body = self.query(&BALANCERS, &call, "2015-12-01", &form).await?;
        targets(&body).map_err(|_| AwsError::Malformed { call, expected: "the health of targets" })
    }

    /// Why each of these alarms is in the state it is in; alarms that do not exist are left out.
    ///
    /// # Errors
    /// Refusals of the service (`cloudwatch:DescribeAlarms`) and transport errors.
    pub async fn alarm_reasons(&self, names: &[String]) -> Result<BTreeMap<String, String>, AwsError> {
        // IAM's name of the service differs from the one it is signed with.
        let call = Call::new("cloudwatch", "DescribeAlarms", format!("alarms {}", names.join(", ")));
        let mut reasons = BTreeMap::new();
        for names in names.chunks(ALARMS_PER_CALL) {
            let form: Vec<(String, String)> = names
                .iter()
                .enumerate()
                .map(|(index, name)| (format!("AlarmNames.member.{}", index + 1), name.clone()))
                .collect();
            let body = self.query(&ALARMS, &call, "2010-08-01", &form).await?;
            let found = alarms(&body);
            reasons.extend(found.map_err(|_| AwsError::Malformed { call: call.clone(), expected: "alarms" })?);
        }
        Ok(reasons)
    }

    async fn query(
        &self,
        names: &Names,
        call: &Call,
        version: &str,
        form: &[(String, String)],
    ) -> Result<String, AwsError> {
        let region = self.region().to_owned();
        let to = Endpoint { url: self.endpoint(names, &region, call)?, region };
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        body.append_pair("Action", call.operation).append_pair("Version", version);
        body.extend_pairs(form);
        let body = body.finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let attempt = || async {
            let answer = self.post(call, names.signing, &to, &headers, &body).await?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            if (200..300).contains(&answer.status) {
                return Ok(text);
            }
            let (code, message) = refusal(&text).unwrap_or_default();
            let code = Some(code.as_str()).filter(|code| !code.is_empty());
            Err(AwsError::refused(call, answer.status, code, &message, answer.retry_after))
        };
        self.persist(Repeat::Always, attempt).await
    }
}

type Read<T> = Result<T, XmlDecodeError>;

fn targets(xml: &str) -> Read<Vec<TargetHealth>> {
    let mut found = Vec::new();
    each_member(xml, "TargetHealthDescriptions", &mut |member| {
        let mut target = TargetHealth::default();
        while let Some(mut part) = member.next_tag() {
            let name = part.start_el().local().to_owned();
            while let Some(mut field) = part.next_tag() {
                let to = match (name.as_str(), field.start_el().local()) {
                    ("Target", "Id") => &mut target.id,
                    ("Target", "Port") => &mut target.port,
                    ("TargetHealth", "State") => &mut target.state,
                    ("TargetHealth", "Reason") => &mut target.reason,
                    ("TargetHealth", "Description") => &mut target.description,
                    _ => continue,
                };
                *to = try_data(&mut field)?.into_owned();
            }
        }
        found.push(target);
        Ok(())
    })?;
    Ok(found)
}

/// Reasons by name. `CompositeAlarms` and `MetricAlarms` say them alike.
fn alarms(xml: &str) -> Read<Vec<(String, String)>> {
    let mut found = Vec::new();
    for list in ["MetricAlarms", "CompositeAlarms"] {
        each_member(xml, list, &mut |member| {
            let (mut name, mut reason) = (String::new(), String::new());
            while let Some(mut field) = member.next_tag() {
                let to = match field.start_el().local() {
                    "AlarmName" => &mut name,
                    "StateReason" => &mut reason,
                    _ => continue,
                };
                *to = try_data(&mut field)?.into_owned();
            }
            found.push((name, reason));
            Ok(())
        })?;
    }
    Ok(found)
}

/// Every `member` of the list of this name below the answer's result.
fn each_member(xml: &str, list: &str, take: &mut dyn FnMut(&mut ScopedDecoder<'_, '_>) -> Read<()>) -> Read<()> {
    let mut document = Document::try_from(xml.as_bytes())?;
    let mut answer = document.root_element()?;
    while let Some(mut result) = answer.next_tag() {
        while let Some(mut found) = result.next_tag() {
            if found.start_el().local() != list {
                continue;
            }
            while let Some(mut member) = found.next_tag() {
                take(&mut member)?;
            }
        }
    }
    Ok(())
}

/// Code and message of an error: `ErrorResponse/Error/{Code,Message}`.
fn refusal(xml: &str) -> Option<(String, String)> {
    let mut document = Document::try_from(xml.as_bytes()).ok()?;
    let mut answer = document.root_element().ok()?;
    let (mut code, mut message) = (String::new(), String::new());
    while let Some(mut error) = answer.next_tag() {
        while let Some(mut field) = error.next_tag() {
            let to = match field.start_el().local() {
                "Code" => &mut code,
                "Message" => &mut message,
                _ => continue,
            };
            *to = try_data(&mut field).ok()?.into_owned();
        }
    }
    Some((code, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_whatever_stands_beside_them() {
        let xml = "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">\
            <DescribeTargetHealthResult><TargetHealthDescriptions><member><HealthCheckPort>80</HealthCheckPort>\
            <AdministrativeOverride><State>no_override</State><Reason>x</Reason></AdministrativeOverride>\
            <TargetHealth><State>unhealthy</State><Reason>Target.ResponseCodeMismatch</Reason>\
            <Description>Health checks failed with these codes: [503] &amp; more</Description></TargetHealth>\
            <Target><Id>10.0.0.7</Id><Port>80</Port></Target></member>\
            <member><Target><Id>10.0.0.8</Id><Port>80</Port></Target><TargetHealth><State>healthy</State></TargetHealth></member>\
            </TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>";
        let found = targets(xml).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].id.as_str(), found[0].state.as_str()), ("10.0.0.7", "unhealthy"));
        assert_eq!(found[0].description, "Health checks failed with these codes: [503] & more");
        assert_eq!((found[1].state.as_str(), found[1].reason.as_str()), ("healthy", ""));
        assert!(targets("not xml").is_err());
    }

    #[test]
    fn alarms_of_both_kinds_are_read() {
        let xml = "<DescribeAlarmsResponse><DescribeAlarmsResult><CompositeAlarms><member><AlarmName>both</AlarmName>\
            <StateReason>because</StateReason></member></CompositeAlarms><MetricAlarms><member>\
            <Dimensions><member><Name>n</Name></member></Dimensions><AlarmName>errors</AlarmName>\
            <StateReason>Threshold Crossed: 1 datapoint [9.0] was greater than 1.0</StateReason></member></MetricAlarms>\
            </DescribeAlarmsResult></DescribeAlarmsResponse>";
        let found = alarms(xml).unwrap();
        assert_eq!(found[0].0, "errors");
        assert!(found[0].1.starts_with("Threshold Crossed"));
        assert_eq!(found[1], ("both".to_owned(), "because".to_owned()));
    }

    #[test]
    fn an_error_has_code_and_message() {
        let xml = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        assert_eq!(refusal(xml), Some(("AccessDenied".to_owned(), "no".to_owned())));
    }
}
