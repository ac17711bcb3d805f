//! What happens when a part is gone, stuck or wrong.

mod authorizer_certificates;
mod brokers;
mod faults;
mod outages;
mod postgres;
mod postgres_failover;
mod redis_failover;
mod wrong_authorizer;
mod zero_loss;
