//! Varlink's messages and error names (varlink.org, "Service").

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::INTERFACE;
use crate::transaction::TransactionError;

/// A call, as sent by a client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// Interface, a dot, and the method.
    pub method: String,
    /// An object; may be left out if the method has no parameters.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub parameters: Value,
    /// No reply is wanted, not even an error.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oneway: bool,
    /// Several replies are welcome. Only `Monitor` sends more than one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// The connection is to be used for something else afterwards, which this service does not offer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upgrade: bool,
}

/// A reply, as sent by the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<P = Value, E = String> {
    /// What the method returns, or what there is to say about the error.
    #[serde(default)]
    pub parameters: P,
    /// More replies follow.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continues: bool,
    /// Name of the error, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<E>,
}

/// An error reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Full name of the error.
    pub error: String,
    /// Its parameters.
    pub parameters: Value,
}

impl Failure {
    fn service(name: &str, parameters: Value) -> Self {
        Self { error: format!("org.varlink.service.{name}"), parameters }
    }

    fn own(name: &str, parameters: Value) -> Self {
        Self { error: format!("{INTERFACE}.{name}"), parameters }
    }

    pub(super) fn interface_not_found(interface: &str) -> Self {
        Self::service("InterfaceNotFound", json!({ "interface": interface }))
    }

    pub(super) fn method_not_found(method: &str) -> Self {
        Self::service("MethodNotFound", json!({ "method": method }))
    }

    /// `message` is our addition to varlink's standard error.
    pub(super) fn expected_more() -> Self {
        Self::service("ExpectedMore", json!({ "message": "call Monitor with \"more\": true" }))
    }

    /// `message` is our addition to varlink's standard error.
    pub(super) fn invalid_parameter(parameter: &str, message: &str) -> Self {
        Self::service("InvalidParameter", json!({ "parameter": parameter, "message": message }))
    }

    pub(super) fn malformed(message: &str) -> Self {
        Self::own("MalformedMessage", json!({ "message": message }))
    }

    pub(super) fn permission_denied(message: &str) -> Self {
        Self::own("PermissionDenied", json!({ "message": message }))
    }

    pub(super) fn reply_too_large(message: &str) -> Self {
        Self::own("ReplyTooLarge", json!({ "message": message }))
    }

    /// The transaction was all right, but could not be carried out or kept; the message says what now holds.
    pub fn not_applied(message: &str) -> Self {
        Self::own("NotApplied", json!({ "message": message }))
    }
}

impl From<TransactionError> for Failure {
    fn from(error: TransactionError) -> Self {
        Self::own("TransactionFailed", json!({ "index": error.index, "message": error.message }))
    }
}
