//! What the edge answers itself: refusals, limits, preflights and sign-in.

mod answers_command;
mod browser;
mod cors;
mod cross_site;
mod every_refusal;
mod limits;
mod refusals;
mod sign_in;
