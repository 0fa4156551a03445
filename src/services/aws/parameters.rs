//! Purpose: reading the parameter store.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;
use serde_json::{Value, json};

use super::Session;
use super::error::{AwsError, Call};
use super::json::{JsonCall, JsonService};
use crate::services::http::Repeat;

/// Names that one `GetParameters` takes (Systems Manager API reference).
const BATCH: usize = 10;

/// The values of parameters, and the names that the store does not have.
#[derive(Debug, Default)]
pub struct Parameters {
    /// Values by name, decrypted.
    pub values: BTreeMap<String, SecretString>,
    /// Names that do not exist.
    pub missing: Vec<String>,
}

impl Session {
    /// Reads parameters, secure strings decrypted. What does not exist is listed, not an error.
    ///
    /// # Errors
    /// Refusals of the service (`ssm:GetParameters`, `kms:Decrypt`) and transport errors.
    pub async fn parameters(&self, names: &[String]) -> Result<Parameters, AwsError> {
        let mut read = Parameters::default();
        // The store refuses a batch in which a name stands twice.
        let names: Vec<&str> = names.iter().map(String::as_str).collect::<BTreeSet<_>>().into_iter().collect();
        for batch in names.chunks(BATCH) {
            let object = format!("parameters {}", batch.join(", "));
            let answer = self
                .json_call(JsonCall {
                    service: JsonService::Ssm,
                    operation: "GetParameters",
                    object: &object,
                    body: &json!({ "Names": batch, "WithDecryption": true }),
                    repeat: Repeat::Always,
                })
                .await?;
            read.take(&answer).ok_or_else(|| AwsError::Malformed {
                call: Call::new("ssm", "GetParameters", object.clone()),
                expected: "parameters",
            })?;
        }
        Ok(read)
    }
}

impl Parameters {
    fn take(&mut self, answer: &Value) -> Option<()> {
        for parameter in answer["Parameters"].as_array()? {
            let (name, value) = (parameter["Name"].as_str()?, parameter["Value"].as_str()?);
            // A name that was asked for as `name:3` or `name:label` comes back in two parts.
            let selector = parameter["Selector"].as_str().unwrap_or_default();
            self.values.insert(format!("{name}{selector}"), value.into());
        }
        for name in answer["InvalidParameters"].as_array().into_iter().flatten() {
            self.missing.push(name.as_str()?.to_owned());
        }
        Some(())
    }
}
