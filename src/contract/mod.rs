//! Purpose: from a command's types to everything that describes them: parsing, flags, `action.yml`, reference pages.
//!
//! A command's `Inputs` and `Outputs` structs are the only place where an input or output is described. Attributes
//! beyond serde's: `x-aliases` (further names), `x-secret` (masked before anything is printed), `x-required`.

pub mod action_yml;
pub mod parse;
pub mod reference;
pub mod spec;
pub mod values;
