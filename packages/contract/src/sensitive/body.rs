//! The forms of bodies in which a value has a name: JSON, also in lines and in texts, forms, and parts.

use comparison::compare::json_values;
use comparison::redact::is_sensitive;

use super::{Found, Kind, LEAST_SECRET};

/// JSON in a text of JSON, such as a webhook in a queue's message; deeper ones are searched as text.
const MOST_NESTED: usize = 3;

impl Found {
    /// Everything in a body.
    pub(super) fn body(&mut self, place: &str, bytes: &[u8]) {
        if self.json(place, bytes, 0) {
            return;
        }
        let text = String::from_utf8_lossy(bytes);
        let form = text.trim_end();
        if form.contains(['\n', '<', ' ']) {
            if !self.parts(place, &text) {
                self.lines(place, &text);
            }
            self.text(place, &text);
        } else {
            self.pairs(place, form);
            self.encoded(place, form);
        }
    }

    /// Whether the bytes are JSON; then its values are searched.
    fn json(&mut self, place: &str, bytes: &[u8], depth: usize) -> bool {
        let Some(values) = json_values(bytes) else { return false };
        for value in values {
            let raw = bytes.get(value.span).unwrap_or_default();
            let place = format!("{place} {}", value.place);
            let Ok(text) = serde_json::from_slice::<String>(raw) else {
                if raw.first().is_some_and(u8::is_ascii_digit) {
                    self.numbers(&place, &String::from_utf8_lossy(raw));
                }
                continue;
            };
            let name = value.place.rsplit('/').find(|segment| *segment != "*").unwrap_or_default();
            if is_sensitive(name) && text.len() >= LEAST_SECRET {
                self.add(Kind::Secret, &place, &text);
            }
            let is_nested = text.starts_with(['{', '[']) && depth < MOST_NESTED;
            if is_nested && self.json(&format!("{place},"), text.as_bytes(), depth + 1) {
                continue;
            }
            self.address(&place, &text);
            self.text(&place, &text);
        }
        true
    }

    /// Lines of JSON: events (`data: {…}`) and records.
    fn lines(&mut self, place: &str, text: &str) {
        for (number, line) in text.lines().enumerate() {
            let line = line.strip_prefix("data:").unwrap_or(line).trim();
            if line.starts_with(['{', '[']) {
                self.json(&format!("{place}, line {},", number + 1), line.as_bytes(), 0);
            }
        }
    }

    /// Whether the text is a form of parts (RFC 7578); then each is searched.
    fn parts(&mut self, place: &str, text: &str) -> bool {
        let mut has_part = false;
        for part in text.split("Content-Disposition: form-data;").skip(1) {
            let Some((head, rest)) = part.split_once("\r\n\r\n") else { continue };
            let name =
                head.split_once("name=\"").and_then(|(_, rest)| rest.split('"').next()).unwrap_or_default();
            let value = rest.split("\r\n--").next().unwrap_or_default();
            let place = format!("{place} part {name}");
            if is_sensitive(name) && value.len() >= LEAST_SECRET {
                self.add(Kind::Secret, &place, value);
            }
            self.json(&place, value.trim().as_bytes(), 0);
            has_part = true;
        }
        has_part
    }
}
