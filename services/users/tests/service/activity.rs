//! Likes, tastes, histories, notifications and push tokens.

mod for_services;
mod later;
mod older;
mod stored;
