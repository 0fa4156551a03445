//! Purpose: looking into and changing a world that runs as a process of its own.

use serde_json::{Value, json};

use super::http::{Reply, Request};
use super::state::State;

/// `GET /state`, `GET /requests`, `GET /unexplained`, `POST /writes/take`, `POST /faults`.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/state") => Reply::json(200, &serde_json::to_value(&*state).expect("the state is JSON")),
        ("GET", "/requests") => Reply::json(200, &json!(state.requests)),
        ("GET", "/unexplained") => Reply::json(200, &json!({ "problems": state.problems, "writes": state.writes })),
        ("POST", "/writes/take") => Reply::json(200, &json!(std::mem::take(&mut state.writes))),
        ("POST", "/faults") => add_fault(state, &request.json()),
        _ => Reply::unknown(request),
    }
}

fn add_fault(state: &mut State, fault: &Value) -> Reply {
    match serde_json::from_value(fault.clone()) {
        Ok(fault) => {
            state.faults.push(fault);
            Reply::empty(204)
        }
        Err(error) => Reply::json(400, &json!({ "message": error.to_string() })),
    }
}
