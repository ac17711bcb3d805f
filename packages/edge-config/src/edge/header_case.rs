//! The case of header names in refusals.

/// How the edge writes the names of headers in its own refusals on HTTP/1.1.
///
/// Envoy has one case for each listener, so all answers that are used on a listener have the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeaderCase {
    /// `content-type`.
    #[default]
    Lower,
    /// `Content-Type`. The listener then gives its backends the names of request headers in lower case, because Envoy
    /// cannot keep their case and write those of its refusals in another one.
    Title,
}

impl HeaderCase {
    /// As the edge file spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lower => "lower",
            Self::Title => "title",
        }
    }

    /// Returns `name` as Envoy writes it. In title case the first character and every one after a character that is
    /// neither a letter nor a digit is a capital.
    #[must_use]
    pub fn written(self, name: &str) -> String {
        match self {
            Self::Lower => name.to_ascii_lowercase(),
            Self::Title => {
                let mut begins = true;
                let written = name.chars().map(|c| {
                    let c = if begins { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() };
                    begins = !c.is_ascii_alphanumeric();
                    c
                });
                written.collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderCase;

    #[test]
    fn names_are_written_as_envoy_writes_them() {
        for (name, title) in [
            ("content-type", "Content-Type"),
            ("ETag", "Etag"),
            ("www-authenticate", "Www-Authenticate"),
            ("x1_y", "X1_Y"),
        ] {
            assert_eq!(HeaderCase::Title.written(name), title);
            assert_eq!(HeaderCase::Lower.written(name), name.to_ascii_lowercase());
        }
    }
}
