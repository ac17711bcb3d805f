//! Likes, tastes, histories, notifications and push tokens.

mod again;
mod announced;
mod at_once;
mod devices;
mod events;
mod for_services;
mod later;
mod many;
mod older;
mod push;
mod renewal;
mod stored;
