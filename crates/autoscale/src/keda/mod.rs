//! The KEDA operator: activation between zero and one, and fallback.

mod executor;
mod fallback;

pub use executor::{Execution, ExecutorInput, execute};
pub use fallback::{Current, Fallback, FallbackBehavior, after_evaluation};
