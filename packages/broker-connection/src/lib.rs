//! Connects to RabbitMQ, for every program here.
//!
//! `amqp://USER:PASSWORD@HOST:5672,HOST:5672/VHOST` names one broker or several, which are tried in this order; `amqps` is TLS.
//! Parameters behind `?` name files: `ca`, `certificate` and `key`, `password_file`. A file is read again for each new
//! connection. No error shows a password.
//!
//! * [`Address`]: where the brokers are, and how they are entered.
//! * [`Entry`]: one of them, with what its files hold now. [`Entry::connect`] opens a connection.

mod address;
mod transport;

pub use address::{Address, BadAddress, Entry};
