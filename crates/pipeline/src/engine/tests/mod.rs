//! The engine between a scripted group and a scripted sink, in paused time:
//! `sleep` costs nothing and durations are exact.

mod assignment;
mod database;
mod ends;
mod in_flight;
mod long;
mod world;
mod writes;
