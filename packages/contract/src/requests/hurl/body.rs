//! The body of an entry, and the type that hurl announces when the entry names none.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{MAX_BODY_BYTES, fill};

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Text without a type of its own.
    Text,
    Json,
    Xml,
    /// A query, and perhaps its variables: sent as JSON.
    GraphQl,
    /// Bytes in which braces are no variables.
    Bytes,
}

/// A body before its variables are filled in.
pub(super) struct Body {
    kind: Kind,
    content: Vec<u8>,
}

impl Body {
    /// JSON or XML without a fence; comments after it belong to the file.
    pub(super) fn plain(lines: &str) -> Self {
        let mut text = lines.trim_end();
        while let Some((before, last)) = text.rsplit_once('\n')
            && (last.trim().is_empty() || last.trim_start().starts_with('#'))
        {
            text = before.trim_end();
        }
        let kind = if text.trim_start().starts_with('<') { Kind::Xml } else { Kind::Json };
        Self { kind, content: text.as_bytes().to_vec() }
    }

    /// The lines between two fences, each with its end. `first` may name what they are: ```` ```json ````.
    pub(super) fn fenced<'a>(
        first: &str,
        lines: &mut impl Iterator<Item = (usize, &'a str)>,
    ) -> Option<Self> {
        let word = first.trim_start_matches('`');
        // ```text``` in one line.
        if let Some(text) = word.strip_suffix("```") {
            return Some(Self { kind: Kind::Text, content: text.as_bytes().to_vec() });
        }
        let kind = match word.split(',').next().unwrap_or_default().trim() {
            "json" => Kind::Json,
            "xml" => Kind::Xml,
            "graphql" => Kind::GraphQl,
            "raw" => Kind::Bytes,
            _ => Kind::Text,
        };
        let mut text = String::new();
        for (_, line) in lines {
            if line.trim() == "```" {
                return Some(Self { kind, content: text.into_bytes() });
            }
            text.push_str(line);
            text.push('\n');
        }
        None
    }

    /// `` `text` ``, `base64,…;`, `hex,…;`, `file,…;`.
    pub(super) fn one_line(line: &str, folder: &Path) -> Option<Result<Self, String>> {
        if let Some(text) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
            return Some(Ok(Self { kind: Kind::Text, content: text.as_bytes().to_vec() }));
        }
        let (kind, rest) = line.split_once(',')?;
        let rest = rest.strip_suffix(';')?.trim();
        let content = match kind {
            "base64" => STANDARD.decode(rest).map_err(|error| format!("not base64 ({error})")),
            "hex" => {
                let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
                let digits: Option<Vec<u8>> = rest.as_bytes().chunks(2).map(pair).collect();
                digits.ok_or_else(|| "not hexadecimal".to_owned())
            }
            "file" => crate::file::read(&folder.join(rest), MAX_BODY_BYTES)
                .map_err(|error| format!("the file ({error})")),
            _ => return None,
        };
        Some(content.map(|content| Self { kind: Kind::Bytes, content }))
    }

    /// The type that is announced when the entry has no `Content-Type`.
    pub(super) fn media_type(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Json | Kind::GraphQl => Some("application/json"),
            Kind::Xml => Some("application/xml"),
            Kind::Text | Kind::Bytes => None,
        }
    }

    /// The bytes that are sent.
    ///
    /// # Errors
    /// A sentence: a variable without a value.
    pub(super) fn filled(self, variables: &BTreeMap<String, String>) -> Result<Vec<u8>, String> {
        let text = match String::from_utf8(self.content) {
            Ok(text) if self.kind != Kind::Bytes => text,
            Ok(text) => return Ok(text.into_bytes()),
            Err(error) => return Ok(error.into_bytes()),
        };
        if self.kind != Kind::GraphQl {
            return Ok(fill(&text, variables)?.into_bytes());
        }
        let at = text.lines().position(|line| line.trim_start().starts_with("variables"));
        let lines: Vec<&str> = text.lines().collect();
        let (query, rest) = lines.split_at(at.unwrap_or(lines.len()));
        let query = serde_json::Value::String(fill(query.join("\n").trim(), variables)?);
        let own = fill(rest.join("\n").trim().trim_start_matches("variables").trim(), variables)?;
        let own = if own.is_empty() { String::new() } else { format!(",\"variables\":{own}") };
        Ok(format!("{{\"query\":{query}{own}}}").into_bytes())
    }
}
