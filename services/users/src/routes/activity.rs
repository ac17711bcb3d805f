//! Likes or tastes, histories, notifications and push tokens.
//!
//! | route | older surface | later surface |
//! |---|---|---|
//! | `/users/@me/likes` | GET 200 · POST 201, 404, 409 · DELETE 204, 404 | |
//! | `/users/@me/dislikes` | 500, where the legacy backend ends the connection | |
//! | `/users/@me/tastes` | | GET 200 · POST 201, 404, 409 · DELETE 204, 404 |
//! | `/users/@me/tastes/{kind}/{value}` | | GET 200, 404 |
//! | `/users/@me/histories` | GET 200 · POST 201, 404 · DELETE 204, 404 | the same, with pages |
//! | `/users/@me/histories/{kind}/{value}` | | GET 200, 404 |
//! | `/users/@me/notifications` | GET 200 | GET 200 |
//! | `/users/@me/fcm-token` | POST 201 | POST 201 |
//!
//! For services:
//!
//! | route | answers |
//! |---|---|
//! | `GET /_/users/{id}/likes`, `…/histories` | 200 what a person likes and dislikes, or has read, of some books or tags |
//! | `GET /_/users/{id}/dislikes` | 200 what a person dislikes |
//! | `GET /_/users/fcm-token` | 200 push tokens of some people |
//! | `POST /_/users/notifications` | 201 the people who like a tag of a new book are told |
//! | `PATCH /_/users/books/{old}/{new}` | 204 what people expressed about one book belongs to another one |
//!
//! A person whose account is gone gets 404 before anything else is read, as from the legacy backend.

mod actions;
mod body;
mod embedded;
pub(super) mod internal;
mod later;
mod older;
pub(super) mod query;
mod view;

use axum::Router;
use axum::routing::{any, get, post};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;

/// The routes for clients of the later surface.
pub(super) fn later() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(later::tastes, later::express, later::forget_taste))
        .routes(routes!(later::taste))
        .routes(routes!(later::histories, later::read, later::forget_history))
        .routes(routes!(later::history))
        .routes(routes!(later::notifications))
        .routes(routes!(later::keep_token))
}

/// The routes for clients of the older surface.
pub(super) fn older() -> Router<App> {
    Router::new()
        .route("/users/@me/likes", get(older::likes).post(older::like).delete(older::unlike))
        .route("/users/@me/dislikes", any(older::dislikes))
        .route("/users/@me/histories", get(older::histories).post(older::read).delete(older::forget_history))
        .route("/users/@me/notifications", get(older::notifications))
        .route("/users/@me/fcm-token", post(older::keep_token))
}

/// The routes for services, the same on both surfaces.
pub(super) fn for_services() -> OpenApiRouter<App> {
    OpenApiRouter::default()
        .routes(routes!(internal::likes))
        .routes(routes!(internal::dislikes))
        .routes(routes!(internal::histories))
        .routes(routes!(internal::tokens))
        .routes(routes!(internal::announce))
        .routes(routes!(internal::renew))
}
