//! Envoy's callbacks. The crate's dispatcher receives them and finds the context of each. `header_rules::config::CALLBACKS`
//! lists the callbacks that the module exports.
//!
//! A machine can have several plugins, each with a configuration of its own: no state here belongs to the whole machine.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType};

use super::plugin::{Plugin, fail};
use crate::host;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

/// One plugin; its requests have it, too. Absent until it is configured.
#[derive(Default)]
struct Root(Rc<RefCell<Option<Plugin>>>);

impl Context for Root {
    /// The answer to a call, or its absence.
    fn on_http_call_response(&mut self, token: u32, headers: usize, body: usize, _trailers: usize) {
        if let Some(plugin) = self.0.borrow_mut().as_mut() {
            plugin.answered(token, headers, body);
        }
    }
}

impl RootContext for Root {
    /// Reads the plugin's configuration. On `false` Envoy refuses it and keeps the old one.
    fn on_configure(&mut self, _size: usize) -> bool {
        let Some(plugin) = Plugin::configure() else { return false };
        self.0.replace(Some(plugin));
        true
    }

    /// Time to report counts, to poll the feeds, and to end streams.
    fn on_tick(&mut self) {
        if let Some(plugin) = self.0.borrow_mut().as_mut() {
            plugin.tick();
        }
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream { plugin: Rc::clone(&self.0), id, is_open: false }))
    }
}

/// One request, of the plugin that judges it.
struct Stream {
    plugin: Rc<RefCell<Option<Plugin>>>,
    id: u32,
    /// Whether the plugin has it among its open streams.
    is_open: bool,
}

impl Context for Stream {}

impl Drop for Stream {
    /// Envoy has destroyed the request.
    fn drop(&mut self) {
        if self.is_open
            && let Ok(plugin) = self.plugin.try_borrow()
            && let Some(plugin) = plugin.as_ref()
        {
            plugin.end(self.id);
        }
    }
}

impl HttpContext for Stream {
    /// Judges the request.
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let (action, is_open) = match self.plugin.borrow_mut().as_mut() {
            Some(plugin) => plugin.request_headers(self.id),
            None => (fail("a request before any configuration"), false),
        };
        self.is_open = is_open;
        match action {
            host::Action::Continue => Action::Continue,
            host::Action::Pause => Action::Pause,
        }
    }

    /// Counts the body, on routes that limit it. Envoy makes this callback for no other filter of this module.
    fn on_http_request_body(&mut self, _size: usize, _end_of_stream: bool) -> Action {
        let action = match self.plugin.borrow_mut().as_mut() {
            Some(plugin) => plugin.request_body(),
            None => fail("a body before any configuration"),
        };
        match action {
            host::Action::Continue => Action::Continue,
            host::Action::Pause => Action::Pause,
        }
    }
}
