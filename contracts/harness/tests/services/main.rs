//! The services behind the edge, beside the legacy sample and each other.

mod activity_service;
mod adding_books;
mod application;
mod every_operation;
mod hostile;
mod image_service;
mod library_service;
mod moving_auth;
mod moving_back;
mod moving_under_load;
mod new_service;
mod older_surface;
mod openapi_answers;
mod pages;
mod passkeys;
mod public_paths;
mod service_calls;
mod single_enforcement;
mod sync;
mod tenants_service;
mod whole_set;
