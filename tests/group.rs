//! Group behaviour, the same on both protocols: classic cooperative-sticky and
//! KIP-848. Everything that can happen to a member happens while records flow, and
//! the audit of all of them is the judge.

#[path = "support/broker.rs"]
mod broker;
#[path = "group/churn.rs"]
mod churn;
#[path = "group/coordinator.rs"]
mod coordinator;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "group/static_members.rs"]
mod static_members;
mod support;
#[path = "support/swallowing.rs"]
mod swallowing;
#[path = "group/unheard.rs"]
mod unheard;
#[path = "group/world.rs"]
mod world;
